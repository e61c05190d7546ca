#include "retort/pipelines/stages/export.h"

#include <iostream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "retort/data/dataset.h"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/onnx/export_onnx.h"
#include "retort/nn/weights.h"
#include "retort/pipelines/payload/model_metadata.h"
#include "retort/pipelines/payload/projector.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stages/inputs.h"

namespace retort::pipelines {
namespace {

constexpr char kSafetensors[] = "model.safetensors";
constexpr char kOnnx[] = "model.onnx";

nn::OnnxOptions::Input InputOf(config::Export::Onnx::Input input) {
  switch (input) {
    case config::Export::Onnx::UNIT:
      return nn::OnnxOptions::Input::kUnit;
    case config::Export::Onnx::BYTES:
      return nn::OnnxOptions::Input::kBytes;
    case config::Export::Onnx::NORMALIZED:
      return nn::OnnxOptions::Input::kNormalized;
  }
  return nn::OnnxOptions::Input::kUnit;
}

}  // namespace

absl::StatusOr<StageOutput> RunExport(const StageContext& context) {
  const config::Export& config = context.stage->export_();
  RETORT_ASSIGN_OR_RETURN(const StageInput* input, context.Input("model"));
  RETORT_ASSIGN_OR_RETURN(const TrainedModel trained, LoadTrainedModel(input->artifact, /*channels_last=*/false));
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits, OpenInputDataset(context));
  RETORT_ASSIGN_OR_RETURN(const double accuracy, input->artifact.Metric("accuracy"));
  std::map<std::string, std::string> metadata = ModelMetadata(trained.description);
  metadata["retort.dataset"] = splits.name;
  metadata["retort.accuracy"] = absl::StrCat(accuracy);
  metadata["retort.config_hash"] = input->artifact.manifest.key();

  StageOutput output;
  if (config.has_safetensors()) {
    RETORT_RETURN_IF_ERROR(nn::SaveModel(absl::StrCat(context.work_dir, "/", kSafetensors), *trained.model, metadata));
    output.files.push_back(kSafetensors);
  }
  if (config.has_onnx()) {
    nn::OnnxOptions options;
    options.input = InputOf(config.onnx().input());
    if (options.input != nn::OnnxOptions::Input::kNormalized) {
      options.mean = trained.normalization.mean;
      options.std = trained.normalization.std;
    }
    options.outputs.embedding = config.onnx().embedding();
    options.metadata = std::move(metadata);
    RETORT_ASSIGN_OR_RETURN(const std::string onnx, nn::ExportOnnx(trained.model.get(), trained.shape, options));
    RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(context.work_dir, "/", kOnnx), onnx));
    output.files.push_back(kOnnx);
  }
  if (HasProjector(input->artifact.manifest)) {
    RETORT_ASSIGN_OR_RETURN(const std::string projector, data::ReadFile(input->artifact.File(kProjectorFile)));
    RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(context.work_dir, "/", kProjectorFile), projector));
    output.files.push_back(kProjectorFile);
    std::cerr << context.stage->name() << ": \"" << input->name << "\" was trained by sim_kd; " << kProjectorFile
              << " is what its teacher's classifier is to be put on\n";
  }
  output.metrics = {{"accuracy", accuracy}, {"parameters", static_cast<double>(nn::CountParameters(*trained.model))}};
  return output;
}

}  // namespace retort::pipelines
