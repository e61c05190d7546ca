// Looks at a model, converts its weights, and runs it on images.
#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/zeros.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "c10/util/Exception.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/graph/costs.h"
#include "retort/nn/graph/recording.h"
#include "retort/nn/weights.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/program/exit_code.h"
#include "retort/tools/model/convert_weights.h"
#include "retort/tools/model/layer_table.h"
#include "retort/tools/model/read_image.h"
#include "retort/tools/model/subject.h"

ABSL_FLAG(std::string, model, "", "the model, as text: 'resnet { depth: RESNET_18 }'");
ABSL_FLAG(std::string, config, "", "a pipeline's file, instead of --model");
ABSL_FLAG(std::string, stage, "", "which stage of --config, if several have a model");
ABSL_FLAG(std::string, weights, "", "safetensors or PyTorch file; one that //pipelines:export wrote needs no --model");
ABSL_FLAG(std::string, key_map, "", "names of --weights to the model's: TORCHVISION_VIT_TO_TIMM; the same by default");
ABSL_FLAG(absl::optional<int>, channels, absl::nullopt, "of the images; 3 unless the weights' file says otherwise");
ABSL_FLAG(absl::optional<int>, height, absl::nullopt, "of the images; 32 unless the weights' file says otherwise");
ABSL_FLAG(absl::optional<int>, width, absl::nullopt, "of the images; 32 unless the weights' file says otherwise");
ABSL_FLAG(absl::optional<int>, classes, absl::nullopt, "number of classes; 10 unless the weights' file names others");
ABSL_FLAG(bool, json, false, "print JSON");
ABSL_FLAG(std::string, save, "", "copy --weights to this safetensors file, metadata and all; needs no model");
ABSL_FLAG(std::string, dtype, "", "of --save: f32, f16 or bf16 for floating-point tensors; left out, as they are");
ABSL_FLAG(std::string, state_dict, "", "of --save: where a PyTorch file of several has its tensors: 'ema'");
ABSL_FLAG(std::string, forward, "", "safetensors file of one tensor, images [B,C,H,W] f32, normalised");
ABSL_FLAG(std::string, out, "", "of --forward: safetensors file for logits, embedding and every tap");
ABSL_FLAG(std::string, image, "", "JPEG, PNG or WebP to classify");
ABSL_FLAG(int, resize, 0, "of --image: its shorter side before the middle is cropped; 0: the crop's longer side");
ABSL_FLAG(std::vector<std::string>, mean, {}, "of --image: a number a channel; the weights' file's by default");
ABSL_FLAG(std::vector<std::string>, std, {}, "of --image: a number a channel; the weights' file's by default");
ABSL_FLAG(std::string, class_names, "", "of --image: file of names, a line each; the weights' file's by default");

namespace retort::tools {
namespace {

constexpr char kUsage[] =
    "model (--model=TEXT | --config=FILE | --weights=FILE) [--json]      layers, parameters, MACs, activation bytes\n"
    "model --weights=IN --save=OUT [--dtype=bf16]                        converts weights\n"
    "model ... --weights=FILE --forward=IN --out=OUT                     runs tensors\n"
    "model ... --weights=FILE --image=cat.jpg [--resize=256]             prints the five likeliest classes";

constexpr int64_t kForwardBatch = 64;
constexpr int64_t kLikeliest = 5;

std::string Resolved(const std::string& path) { return path.empty() ? "" : pipelines::ResolveUserPath(path); }

SubjectSource SourceFromFlags() {
  return {.model = absl::GetFlag(FLAGS_model),
          .config = Resolved(absl::GetFlag(FLAGS_config)),
          .stage = absl::GetFlag(FLAGS_stage),
          .weights = Resolved(absl::GetFlag(FLAGS_weights)),
          .key_map = absl::GetFlag(FLAGS_key_map),
          .channels = absl::GetFlag(FLAGS_channels),
          .height = absl::GetFlag(FLAGS_height),
          .width = absl::GetFlag(FLAGS_width),
          .classes = absl::GetFlag(FLAGS_classes)};
}

absl::Status PrintCosts() {
  const SubjectSource source = SourceFromFlags();
  RETORT_ASSIGN_OR_RETURN(const config::TrainedModel description, DescribeSubject(source));
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<nn::Model> model, BuildSubject(description, source));
  const at::Tensor image = at::zeros({1, description.channels(), description.height(), description.width()});
  RETORT_ASSIGN_OR_RETURN(const nn::Recording recording, nn::Record(model.get(), image, {}));
  ModelCosts costs;
  costs.layers = nn::LayerCosts(recording);
  // Taps may cost something, so that they are asked for in a pass of their own.
  RETORT_ASSIGN_OR_RETURN(const nn::Recording everything,
                          nn::Record(model.get(), image, {.embedding = true, .taps = model->TapNames()}));
  for (const auto& [name, position] : everything.outputs) {
    costs.outputs.emplace_back(name, everything.values[static_cast<size_t>(position)].tensor.sizes().vec());
  }
  std::cout << (absl::GetFlag(FLAGS_json) ? LayerTableJson(costs).dump() + "\n" : LayerTable(costs));
  return absl::OkStatus();
}

absl::Status Convert() {
  WeightConversion conversion;
  absl::optional<at::ScalarType>& type = conversion.type;
  conversion.state_dict = absl::GetFlag(FLAGS_state_dict);
  const std::string dtype = absl::GetFlag(FLAGS_dtype);
  if (dtype == "f32") {
    type = at::kFloat;
  } else if (dtype == "f16") {
    type = at::kHalf;
  } else if (dtype == "bf16") {
    type = at::kBFloat16;
  } else if (!dtype.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--dtype=", dtype, " is unknown; permitted: f32, f16, bf16"));
  }
  RETORT_ASSIGN_OR_RETURN(
      const std::vector<std::string> others,
      ConvertWeights(Resolved(absl::GetFlag(FLAGS_weights)), Resolved(absl::GetFlag(FLAGS_save)), conversion));
  for (const std::string& name : others) std::cerr << "no tensor, left behind: " << name << "\n";
  return absl::OkStatus();
}

absl::StatusOr<nn::Outputs> RunModel(nn::Model* model, const at::Tensor& images, const nn::Request& request) {
  try {
    const at::NoGradGuard no_grad;
    return model->Forward(images, request);
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("the forward pass failed: ", error.what_without_backtrace()));
  }
}

absl::StatusOr<at::Tensor> ReadImages(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const data::SafetensorsFile file, data::SafetensorsFile::Open(path));
  RETORT_RETURN_IF_ERROR(file.Verify());
  RETORT_ASSIGN_OR_RETURN(const data::TensorView view, file.Find("images"));
  if (view.dtype != data::DType::kF32 || view.shape.size() != 4 || view.bytes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": images are ", data::DTypeName(view.dtype), " [",
                                                   absl::StrJoin(view.shape, ","), "]; they must be F32 [B,C,H,W]"));
  }
  const at::Tensor images = at::empty(view.shape);
  RETORT_RETURN_IF_ERROR(nn::LoadTensors(data::WeightFile(file), {{"images", images}}).status());
  return images;
}

absl::Status Forward() {
  RETORT_ASSIGN_OR_RETURN(const at::Tensor images, ReadImages(Resolved(absl::GetFlag(FLAGS_forward))));
  SubjectSource source = SourceFromFlags();
  source.channels = static_cast<int>(images.size(1));
  source.height = static_cast<int>(images.size(2));
  source.width = static_cast<int>(images.size(3));
  RETORT_ASSIGN_OR_RETURN(const config::TrainedModel description, DescribeSubject(source));
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<nn::Model> model, BuildSubject(description, source));
  const nn::Request request = {.embedding = true, .taps = model->TapNames()};
  std::vector<at::Tensor> logits, embeddings;
  std::map<std::string, std::vector<at::Tensor>> taps;
  for (const at::Tensor& batch : images.split(kForwardBatch)) {
    RETORT_ASSIGN_OR_RETURN(const nn::Outputs outputs, RunModel(model.get(), batch, request));
    logits.push_back(outputs.logits);
    embeddings.push_back(outputs.embedding);
    for (const auto& [name, tensor] : outputs.taps) taps[name].push_back(tensor);
  }
  std::vector<nn::NamedTensor> results = {{"logits", at::cat(logits)}, {"embedding", at::cat(embeddings)}};
  for (const auto& [name, tensors] : taps) results.emplace_back(name, at::cat(tensors));
  return nn::SaveTensors(Resolved(absl::GetFlag(FLAGS_out)), results, {});
}

absl::StatusOr<std::vector<double>> Numbers(const std::vector<std::string>& flag, const char* name,
                                            const google::protobuf::RepeatedField<double>& known) {
  if (flag.empty()) return std::vector<double>(known.begin(), known.end());
  std::vector<double> numbers;
  for (const std::string& text : flag) {
    if (!absl::SimpleAtod(text, &numbers.emplace_back())) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": \"", text, "\" is no number"));
    }
  }
  return numbers;
}

absl::StatusOr<std::vector<std::string>> ClassNames(const config::TrainedModel& description, int classes) {
  const std::string path = Resolved(absl::GetFlag(FLAGS_class_names));
  std::vector<std::string> names(description.class_name().begin(), description.class_name().end());
  if (!path.empty()) {
    RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(path));
    names = absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
    if (static_cast<int>(names.size()) != classes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " has ", names.size(), " names; the model has ", classes, " classes"));
    }
  }
  for (int i = static_cast<int>(names.size()); i < classes; ++i) names.push_back(absl::StrCat("class ", i));
  return names;
}

absl::Status Classify() {
  const SubjectSource source = SourceFromFlags();
  RETORT_ASSIGN_OR_RETURN(const config::TrainedModel description, DescribeSubject(source));
  if (description.channels() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("--image gives 3 channels, the model takes ", description.channels()));
  }
  ImagePreparation preparation;
  preparation.height = description.height();
  preparation.width = description.width();
  preparation.resize = absl::GetFlag(FLAGS_resize);
  if (preparation.resize == 0) preparation.resize = std::max(preparation.height, preparation.width);
  RETORT_ASSIGN_OR_RETURN(preparation.mean, Numbers(absl::GetFlag(FLAGS_mean), "mean", description.normalize().mean()));
  RETORT_ASSIGN_OR_RETURN(preparation.std, Numbers(absl::GetFlag(FLAGS_std), "std", description.normalize().std()));
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ClassNames(description, ClassCount(description, source)));
  RETORT_ASSIGN_OR_RETURN(const at::Tensor image, ReadImage(Resolved(absl::GetFlag(FLAGS_image)), preparation));
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<nn::Model> model, BuildSubject(description, source));
  RETORT_ASSIGN_OR_RETURN(const nn::Outputs outputs, RunModel(model.get(), image, {}));
  const auto [probabilities, classes] =
      at::softmax(outputs.logits[0], 0).topk(std::min(kLikeliest, outputs.logits.size(1)));
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < classes.size(0); ++i) {
    const int64_t index = classes[i].item<int64_t>();
    const double probability = probabilities[i].item<double>();
    const std::string& name = names[static_cast<size_t>(index)];
    json.push_back({{"class", index}, {"name", name}, {"probability", probability}});
    if (!absl::GetFlag(FLAGS_json)) std::cout << absl::StreamFormat("%8.4f %%  %s\n", 100 * probability, name);
  }
  if (absl::GetFlag(FLAGS_json)) std::cout << json.dump() << "\n";
  return absl::OkStatus();
}

// What is wrong with the flags together; empty if nothing is.
std::string Misuse(size_t arguments) {
  const auto given = [](const absl::Flag<std::string>& flag) { return !absl::GetFlag(flag).empty(); };
  const bool save = given(FLAGS_save), forward = given(FLAGS_forward), image = given(FLAGS_image);
  if (arguments > 1) return "give flags alone";
  if (save + forward + image > 1) return "give one of --save, --forward and --image";
  if (given(FLAGS_model) && given(FLAGS_config)) return "give either --model or --config";
  if ((save || forward || image) && !given(FLAGS_weights)) return "give --weights";
  if (forward != given(FLAGS_out)) return "--forward and --out go together";
  if (given(FLAGS_dtype) && !save) return "--dtype is of --save";
  if (given(FLAGS_key_map) && (save || !given(FLAGS_weights))) return "--key_map is of a model's --weights";
  if (given(FLAGS_state_dict) && !save) return "--state_dict is of --save";
  if (!given(FLAGS_model) && !given(FLAGS_config) && !given(FLAGS_weights))
    return "give --model, --config or --weights";
  return "";
}

int Main(const std::vector<char*>& arguments) {
  if (const std::string misuse = Misuse(arguments.size()); !misuse.empty()) {
    std::cerr << "error: " << misuse << "\n" << kUsage << "\n";
    return pipelines::kExitUsage;
  }
  absl::Status status;
  if (!absl::GetFlag(FLAGS_save).empty()) {
    status = Convert();
  } else if (!absl::GetFlag(FLAGS_forward).empty()) {
    status = Forward();
  } else if (!absl::GetFlag(FLAGS_image).empty()) {
    status = Classify();
  } else {
    status = PrintCosts();
  }
  if (!status.ok()) std::cerr << "error: " << status.message() << "\n";
  return pipelines::ExitCode(status, 0);
}

}  // namespace
}  // namespace retort::tools

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(retort::tools::kUsage);
  return retort::tools::Main(absl::ParseCommandLine(argc, argv));
}
