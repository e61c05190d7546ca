#include "retort/nn/build_model.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/tensor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::nn {
namespace {

// A tensor as torch.manual_seed(42) and PyTorch's own modules make it.
struct ParameterCase {
  std::string name;
  std::vector<int64_t> shape;
  double first;  // two first elements
  double second;
  double sum;            // of all elements
  double gradient_norm;  // of the loss below
};

struct Case {
  std::string name;
  std::string config;
  int64_t count;
  std::vector<ParameterCase> parameters;
  std::vector<double> logits;  // [2,10], of Images(), in evaluation mode
  double loss;                 // cross-entropy of `logits` with labels 3 and 8
  std::map<std::string, std::vector<int64_t>> taps;
  int64_t embedding;
};

std::ostream& operator<<(std::ostream& stream, const Case& model) { return stream << model.name; }

// Numbers computed by PyTorch 2.11.0 in Python from the tutorial's modules (pytorch/tutorials,
// beginner_source/knowledge_distillation_tutorial.py) after torch.manual_seed(42).
std::vector<Case> Cases() {
  Case deep;
  deep.name = "deep_nn";
  deep.config = "deep_nn {}";
  deep.count = 1186986;
  deep.parameters = {
      {"features.0.weight", {128, 3, 3, 3}, 0.147135511, 0.159735098, -5.35473845, 0.035427951},
      {"features.0.bias", {128}, -0.0475777015, 0.0220382046, -1.30801538, 0.0094763205},
      {"features.2.weight", {64, 128, 3, 3}, -0.0218725279, -0.00130164216, 5.94041273, 0.22647691},
      {"features.2.bias", {64}, 0.0200529434, 0.0198519025, 0.0127243595, 0.020248387},
      {"features.5.weight", {64, 64, 3, 3}, -0.0244379342, 0.0282443017, 1.38558959, 0.19224389},
      {"features.5.bias", {64}, 0.0208734572, 0.0343859717, 0.289792452, 0.037837226},
      {"features.7.weight", {32, 64, 3, 3}, 0.0153198093, 0.0137166437, 0.888216933, 0.23616949},
      {"features.7.bias", {32}, -0.0152717633, -0.0200849883, -0.187742448, 0.10582683},
      {"classifier.0.weight", {512, 2048}, -0.00437691063, 0.0196631886, -24.9711505, 0.54405395},
      {"classifier.0.bias", {512}, -0.00409748498, -0.0209448133, -0.109773825, 0.24194629},
      {"classifier.3.weight", {10, 512}, -0.0160046499, 0.0207763519, -4.1301869, 0.30498396},
      {"classifier.3.bias", {10}, -0.0282502305, 0.0179021321, 0.0905478653, 0.63002599},
  };
  deep.logits = {-0.0238593, 0.002212094, 0.009980589, 0.02037105,  0.03530459,   0.01991229, -0.04245295,
                 0.03014436, 0.01448983,  -0.04310729, -0.02549132, 0.0008903146, 0.01342176, 0.02236644,
                 0.03449527, 0.02097689,  -0.04461746, 0.03071598,  0.01588266,   -0.04569978};
  deep.loss = 2.2871437;
  deep.taps = {{"conv1", {2, 128, 32, 32}},       {"conv2", {2, 64, 16, 16}},         {"conv3", {2, 64, 16, 16}},
               {"features", {2, 32, 8, 8}},       {"conv1.preact", {2, 128, 32, 32}}, {"conv2.preact", {2, 64, 16, 16}},
               {"conv3.preact", {2, 64, 16, 16}}, {"features.preact", {2, 32, 8, 8}}};
  deep.embedding = 2048;

  Case light;
  light.name = "light_nn";
  light.config = "light_nn {}";
  light.count = 267738;
  light.parameters = {
      {"features.0.weight", {16, 3, 3, 3}, 0.147135511, 0.159735098, -5.03178766, 0.25945223},
      {"features.0.bias", {16}, -0.0760856867, 0.107238203, 0.245388955, 0.048442918},
      {"features.3.weight", {16, 16, 3, 3}, 0.065301165, -0.0636289418, 0.171921584, 0.71297373},
      {"features.3.bias", {16}, 0.0830241665, 0.0478516929, 0.26170993, 0.11556179},
      {"classifier.0.weight", {256, 1024}, -0.0234633535, -0.0117635578, -1.24411236, 2.5119047},
      {"classifier.0.bias", {256}, -0.0058057867, -0.026012864, -0.0624060556, 0.24304905},
      {"classifier.3.weight", {10, 256}, 0.0212528259, 0.0286139473, 1.00240971, 1.3315684},
      {"classifier.3.bias", {10}, 0.0191303268, -0.0392101407, 0.0588162318, 0.6404843},
  };
  light.logits = {0.04660579, 0.01437713,   0.05053817,  -0.02574572, 0.1133193,   0.002163639, -0.009592772,
                  0.1237703,  -0.01293962,  -0.01134355, 0.08326041,  0.02635467,  0.0584647,   -0.04184429,
                  0.1063323,  0.0003551394, -0.02804827, 0.1201768,   0.008869935, 0.0143526};
  light.loss = 2.3443351;
  light.taps = {{"conv1", {2, 16, 16, 16}},
                {"features", {2, 16, 8, 8}},
                {"conv1.preact", {2, 16, 16, 16}},
                {"features.preact", {2, 16, 8, 8}}};
  light.embedding = 1024;
  return {deep, light};
}

// Irregular, so that no two values in a pool's window are close: a tie would go either way by rounding.
at::Tensor Images() {
  return (at::arange(2 * 3 * 32 * 32, at::kDouble).square() * 0.37).sin().reshape({2, 3, 32, 32}).to(at::kFloat);
}

class BuildModelTest : public ::testing::TestWithParam<Case> {
 protected:
  static std::unique_ptr<Model> Build(bool channels_last) {
    config::Model config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().config, &config));
    return BuildModel(config, ModelShape(), /*seed=*/42, channels_last).value();
  }
};

TEST_P(BuildModelTest, StartsFromPyTorchsWeightsUnderPyTorchsNames) {
  for (const bool channels_last : {false, true}) {
    const std::unique_ptr<Model> model = Build(channels_last);
    EXPECT_EQ(CountParameters(*model), GetParam().count);
    EXPECT_TRUE(model->Buffers().empty());
    const std::vector<NamedTensor> parameters = model->Parameters();
    ASSERT_EQ(parameters.size(), GetParam().parameters.size());
    for (size_t i = 0; i < parameters.size(); ++i) {
      const auto& [name, parameter] = parameters[i];
      const ParameterCase& expected = GetParam().parameters[i];
      EXPECT_EQ(name, expected.name);
      EXPECT_EQ(parameter.sizes().vec(), expected.shape) << name;
      EXPECT_TRUE(parameter.is_leaf() && parameter.requires_grad()) << name;
      const at::Tensor flat = parameter.detach().to(at::kDouble).flatten();
      EXPECT_NEAR(flat[0].item<double>(), expected.first, 1e-9) << name;
      EXPECT_NEAR(flat[1].item<double>(), expected.second, 1e-9) << name;
      EXPECT_NEAR(flat.sum().item<double>(), expected.sum, 1e-6) << name;
    }
  }
}

// The same images give the same outputs and gradients as in Python, in either layout.
TEST_P(BuildModelTest, ComputesWhatPyTorchComputes) {
  for (const bool channels_last : {false, true}) {
    const std::unique_ptr<Model> model = Build(channels_last);
    model->SetTraining(false);
    const at::Tensor images =
        Images().contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    const at::Tensor logits = model->Forward(images, {}).logits;
    const at::Tensor expected = at::tensor(GetParam().logits, at::kDouble).reshape({2, 10});
    EXPECT_LT((logits.detach().to(at::kDouble) - expected).abs().max().item<double>(), 1e-6);

    const at::Tensor loss = at::cross_entropy_loss(logits, at::tensor({3, 8}, at::kLong));
    EXPECT_NEAR(loss.item<double>(), GetParam().loss, 1e-6);
    loss.backward();
    const std::vector<NamedTensor> parameters = model->Parameters();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const double norm = parameters[i].second.grad().to(at::kDouble).norm().item<double>();
      EXPECT_NEAR(norm / GetParam().parameters[i].gradient_norm, 1, 1e-5) << parameters[i].first;
    }
  }
}

TEST_P(BuildModelTest, GivesTheListedTapsAndTheEmbedding) {
  const std::unique_ptr<Model> model = Build(/*channels_last=*/true);
  const Outputs outputs =
      model->Forward(Images().contiguous(at::MemoryFormat::ChannelsLast), {true, model->TapNames()});
  ASSERT_EQ(outputs.taps.size(), GetParam().taps.size());
  for (const auto& [name, shape] : GetParam().taps) EXPECT_EQ(outputs.taps.at(name).sizes().vec(), shape) << name;
  EXPECT_EQ(outputs.embedding.sizes().vec(), (std::vector<int64_t>{2, GetParam().embedding}));
}

TEST_P(BuildModelTest, LaysOutFiltersAsAsked) {
  for (const auto& [name, parameter] : Build(/*channels_last=*/true)->Parameters()) {
    EXPECT_TRUE(parameter.is_contiguous(parameter.suggest_memory_format())) << name;
    EXPECT_EQ(parameter.is_contiguous(at::MemoryFormat::ChannelsLast), parameter.dim() == 4) << name;
  }
  for (const auto& [name, parameter] : Build(/*channels_last=*/false)->Parameters()) {
    EXPECT_TRUE(parameter.is_contiguous()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BuildModelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

TEST(BuildModelErrorTest, NamesTheFamilies) {
  const absl::Status status = BuildModel({}, ModelShape(), 1, false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("light_nn"), absl::string_view::npos) << status;
}

TEST(BuildModelErrorTest, RefusesImagesThatDoNotHalveTwice) {
  config::Model config;
  config.mutable_light_nn();
  EXPECT_EQ(BuildModel(config, {3, 30, 30, 10}, 1, false).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace retort::nn
