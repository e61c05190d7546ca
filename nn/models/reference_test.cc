// A family against the Python library it must equal: names, shapes, counts, first weights, outputs, taps, gradients,
// and three training steps. The numbers come from references/make_references.py.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/nn/build_model.h"

namespace retort::nn {
namespace {

using nlohmann::json;

// See hash_uniform() in make_references.py.
at::Tensor HashUniform(const std::string& name, int64_t count) {
  uint64_t seed = 0xCBF29CE484222325u;
  for (const char byte : name) seed = (seed ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
  at::Tensor values = at::empty(count, at::kDouble);
  double* out = values.mutable_data_ptr<double>();
  for (int64_t j = 0; j < count; ++j) {
    uint64_t z = seed + 0x9E3779B97F4A7C15u * static_cast<uint64_t>(j + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    out[j] = std::ldexp(static_cast<double>(z >> 11), -52) - 1;
  }
  return values;
}

// See fill_value() in make_references.py.
at::Tensor FillValue(const std::string& name, at::IntArrayRef shape) {
  const int64_t count = c10::multiply_integers(shape);
  const at::Tensor u = HashUniform(name, count);
  at::Tensor values;
  if (shape.size() >= 2) {
    values = u * std::sqrt((shape.size() == 4 ? 6.0 : 3.0) / static_cast<double>(count / shape[0]));
  } else if (absl::EndsWith(name, "running_var")) {
    values = 1 + 0.3 * u;
  } else if (absl::EndsWith(name, "weight")) {
    values = 1 + 0.2 * u;
  } else {
    values = 0.1 * u;
  }
  return values.to(at::kFloat).reshape(shape);
}

std::vector<NamedTensor> StateOf(const Model& model) {
  std::vector<NamedTensor> state = model.Parameters();
  for (NamedTensor& buffer : model.Buffers()) state.push_back(std::move(buffer));
  return state;
}

void Fill(const Model& model) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : StateOf(model)) {
    if (absl::EndsWith(name, "num_batches_tracked")) {
      tensor.fill_(3);
    } else {
      tensor.copy_(FillValue(name, tensor.sizes()));
    }
  }
}

// |ours - theirs| of projection and norm.
void ExpectWithin(const at::Tensor& tensor, const json& expected, double difference, const std::string& what) {
  const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous().flatten();
  const double projection = flat.dot(HashUniform("fingerprint", flat.numel())).item<double>();
  EXPECT_LE(std::abs(projection - expected[0].get<double>()), difference) << what;
  EXPECT_LE(std::abs(flat.norm().item<double>() - expected[1].get<double>()), difference) << what;
}

// The same, against the norm.
void ExpectFingerprint(const at::Tensor& tensor, const json& expected, double tolerance, const std::string& what) {
  ExpectWithin(tensor, expected, tolerance * expected[1].get<double>(), what);
}

std::vector<int64_t> Shape(const json& expected) { return expected.get<std::vector<int64_t>>(); }

// float32 against float64: no worse than three times PyTorch's own difference.
double Tolerance(const json& noise) { return std::max(1e-5, 3 * noise.get<double>()); }

void ExpectRows(const at::Tensor& logits, const json& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(logits.size(0), static_cast<int64_t>(expected.size())) << what;
  for (int64_t row = 0; row < logits.size(0); ++row) {
    const at::Tensor theirs = at::tensor(expected[static_cast<size_t>(row)].get<std::vector<double>>(), at::kDouble);
    const double difference = (logits[row].detach().to(at::kDouble) - theirs).abs().max().item<double>();
    EXPECT_LE(difference, tolerance * theirs.abs().max().item<double>()) << what << ", row " << row;
  }
}

// Of seven images, those of the classifiers together.
at::Tensor Loss(const Outputs& outputs) {
  const at::Tensor labels = at::arange(7, at::kLong);
  const at::Tensor loss = at::cross_entropy_loss(outputs.logits, labels);
  if (!outputs.distillation_logits.defined()) return loss;
  return (loss + at::cross_entropy_loss(outputs.distillation_logits, labels)) / 2;
}

struct Case {
  std::string name;  // "resnet_resnet18"
  json reference;
};

void PrintTo(const Case& reference_case, std::ostream* stream) { *stream << reference_case.reference["config"]; }

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const absl::string_view path : absl::StrSplit(std::getenv("REFERENCES"), ' ')) {
    std::ifstream file{std::string(path)};
    const absl::string_view family = absl::StripSuffix(path.substr(path.rfind('/') + 1), ".json");
    for (json& reference : json::parse(file).get<std::vector<json>>()) {
      cases.push_back({absl::StrCat(family, "_", reference["name"].get<std::string>()), std::move(reference)});
    }
  }
  return cases;
}

class ReferenceTest : public ::testing::TestWithParam<Case> {
 protected:
  static const json& Reference() { return GetParam().reference; }

  std::unique_ptr<Model> Build(bool channels_last) const {
    const json& reference = Reference();
    config::Model config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(reference["config"].get<std::string>(), &config));
    const ModelShape shape = {reference["channels"], reference["height"], reference["width"], reference["classes"]};
    return BuildModel(config, shape, /*seed=*/42, channels_last).value();
  }

  at::Tensor Images(const std::string& name, int64_t batch, bool channels_last) const {
    const json& reference = Reference();
    const std::vector<int64_t> shape = {batch, reference["channels"], reference["height"], reference["width"]};
    return (1.7 * HashUniform(name, c10::multiply_integers(shape)))
        .to(at::kFloat)
        .reshape(shape)
        .contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  }
};

TEST_P(ReferenceTest, HasTheSameTensorsAndFirstWeights) {
  const std::unique_ptr<Model> model = Build(/*channels_last=*/false);
  EXPECT_EQ(CountParameters(*model), Reference()["parameters"].get<int64_t>());
  std::map<std::string, at::Tensor> ours;
  for (const auto& [name, tensor] : StateOf(*model)) ours[name] = tensor;
  for (const json& expected : Reference()["tensors"]) {
    const std::string name = expected["name"];
    const auto found = ours.find(name);
    if (found == ours.end()) {
      ADD_FAILURE() << "missing " << name;
      continue;
    }
    EXPECT_EQ(found->second.sizes().vec(), Shape(expected["shape"])) << name;
    if (expected.contains("initial")) ExpectFingerprint(found->second, expected["initial"], 1e-5, name);
    ours.erase(found);
  }
  for (const auto& [name, tensor] : ours) ADD_FAILURE() << "unexpected " << name;
}

TEST_P(ReferenceTest, ComputesTheSameLogits) {
  for (const bool channels_last : {false, true}) {
    const std::unique_ptr<Model> model = Build(channels_last);
    Fill(*model);
    model->SetTraining(false);
    const at::NoGradGuard no_grad;
    for (const int64_t batch : {1, 7}) {
      const at::Tensor logits = model->Forward(Images("images", batch, channels_last), {}).logits;
      ExpectRows(logits, Reference()[absl::StrCat("logits_", batch)], Tolerance(Reference()["noise"]),
                 absl::StrCat("batch ", batch, ", channels_last ", channels_last));
    }
  }
}

// All taps at once, then each alone: what is asked for must not change what is computed.
TEST_P(ReferenceTest, GivesTheSameTapsAndEmbedding) {
  const std::unique_ptr<Model> model = Build(/*channels_last=*/true);
  Fill(*model);
  model->SetTraining(false);
  const at::NoGradGuard no_grad;
  const json& taps = Reference()["taps"];
  // Where a layer's noise is larger than that of the logits, this is how much.
  const double tolerance = 10 * Tolerance(Reference()["noise"]);
  const std::vector<std::string> names = model->TapNames();
  for (const auto& [name, expected] : taps.items()) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name << " is not listed";
  }

  std::vector<Request> requests = {{true, names}};
  for (const std::string& name : names) requests.push_back({false, {name}});
  for (const Request& request : requests) {
    const Outputs outputs = model->Forward(Images("images", 7, /*channels_last=*/true), request);
    ExpectRows(outputs.logits, Reference()["logits_7"], Tolerance(Reference()["noise"]), "logits");
    ASSERT_EQ(outputs.taps.size(), request.taps.size());
    for (const auto& [name, tap] : outputs.taps) {
      if (!taps.contains(name)) {
        ADD_FAILURE() << name << " has no reference";
        continue;
      }
      if (tap.dim() == 4 && !absl::EndsWith(name, ".attention")) {
        EXPECT_TRUE(tap.is_contiguous(at::MemoryFormat::ChannelsLast)) << name;
      }
      EXPECT_EQ(tap.sizes().vec(), Shape(taps[name]["shape"])) << name;
      ExpectFingerprint(tap, taps[name]["fingerprint"], tolerance, name);
    }
    ASSERT_EQ(outputs.embedding.defined(), request.embedding);
    if (request.embedding) {
      EXPECT_EQ(outputs.embedding.sizes().vec(), Shape(Reference()["embedding"]["shape"]));
      ExpectFingerprint(outputs.embedding, Reference()["embedding"]["fingerprint"], tolerance, "embedding");
    }
  }
}

// Logits of each classifier in training mode, and the gradients.
TEST_P(ReferenceTest, ComputesTheSameInTraining) {
  // A ReLU whose input is within rounding of 0 may be open in one program and closed in another: what that does to a
  // gradient is in none of the other errors.
  constexpr double kReluFlips = 1e-2;
  for (const auto& [batch, expected] : Reference()["training"].items()) {
    const bool seven = batch == "7";
    const std::unique_ptr<Model> model = Build(/*channels_last=*/seven);
    Fill(*model);
    model->SetTraining(true);
    const Outputs outputs = model->Forward(Images(seven ? "step0" : "images", seven ? 7 : 1, seven), {});
    const json& heads = expected["heads"];
    const double tolerance = Tolerance(expected["noise"]);
    ExpectRows(outputs.logits, heads[0], tolerance, "training, batch " + batch);
    ASSERT_EQ(outputs.distillation_logits.defined(), heads.size() == 2);
    if (heads.size() == 2) ExpectRows(outputs.distillation_logits, heads[1], tolerance, "distillation, batch " + batch);
    if (!seven) continue;

    Loss(outputs).backward();
    std::map<std::string, at::Tensor> gradients;
    for (const auto& [name, parameter] : model->Parameters()) {
      if (parameter.grad().defined()) gradients[name] = parameter.grad();
    }
    for (const json& tensor : Reference()["tensors"]) {
      if (!tensor.contains("gradient")) continue;
      const std::string name = tensor["name"];
      const json& gradient = tensor["gradient"];
      ASSERT_EQ(gradients.count(name), 1u) << name;
      ExpectWithin(gradients[name], gradient,
                   std::max(kReluFlips * gradient[1].get<double>(), 3 * gradient[2].get<double>()),
                   "gradient of " + name);
      gradients.erase(name);
    }
    EXPECT_TRUE(gradients.empty()) << gradients.begin()->first;
  }
}

TEST_P(ReferenceTest, TrainsTheSame) {
  const std::unique_ptr<Model> model = Build(/*channels_last=*/true);
  Fill(*model);
  model->SetTraining(true);
  const std::vector<NamedTensor> parameters = model->Parameters();
  for (int step = 0; step < 3; ++step) {
    const Outputs outputs =
        model->Forward(Images(absl::StrCat("step", step), 7, /*channels_last=*/true), {true, model->TapNames()});
    Loss(outputs).backward();
    const at::NoGradGuard no_grad;
    for (const auto& [name, parameter] : parameters) {
      at::Tensor& gradient = parameter.mutable_grad();
      if (!gradient.defined()) continue;
      parameter.sub_(gradient, 1e-5);
      gradient.reset();
    }
  }
  model->SetTraining(false);
  const json& trained = Reference()["trained"];
  const double tolerance = Tolerance(trained["noise"]);
  const at::NoGradGuard no_grad;
  ExpectRows(model->Forward(Images("images", 7, /*channels_last=*/true), {}).logits, trained["logits"], tolerance,
             "after training");
  EXPECT_EQ(model->Buffers().size(), trained["buffers"].size());
  for (const auto& [name, buffer] : model->Buffers()) {
    const json& expected = trained["buffers"].at(name);
    if (expected.is_array()) {
      ExpectFingerprint(buffer, expected, tolerance, name);
    } else {
      EXPECT_EQ(buffer.item<int64_t>(), expected.get<int64_t>()) << name;
    }
  }
}

// bf16 weights, statistics and images: the forward pass stays in bf16 and near the exact logits.
TEST_P(ReferenceTest, RunsInBf16) {
  const std::unique_ptr<Model> model = Build(/*channels_last=*/true);
  Fill(*model);
  model->SetTraining(false);
  for (auto& [name, tensor] : StateOf(*model)) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.detach().to(at::kBFloat16));
  }
  const at::NoGradGuard no_grad;
  const at::Tensor logits =
      model->Forward(Images("images", 7, /*channels_last=*/true).to(at::kBFloat16), {true, model->TapNames()}).logits;
  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  ExpectRows(logits, Reference()["logits_7"], 0.2, "bf16");
}

INSTANTIATE_TEST_SUITE_P(Python, ReferenceTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::nn
