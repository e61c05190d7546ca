#include "retort/nn/graph/costs.h"

#include <numeric>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/_weight_norm.h"
#include "ATen/ops/conv2d.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/scaled_dot_product_attention.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/nn/build_model.h"
#include "retort/nn/graph/function_model.h"

namespace retort::nn {
namespace {

using ::testing::ElementsAre;

std::vector<LayerCost> CostsOf(const config::Model& config) {
  const std::unique_ptr<Model> model = BuildModel(config, {}, 1, /*channels_last=*/false).value();
  return LayerCosts(Record(model.get(), at::ones({1, 3, 32, 32}), {}).value());
}

int64_t TotalMacs(const std::vector<LayerCost>& layers) {
  return std::accumulate(layers.begin(), layers.end(), int64_t{0},
                         [](int64_t sum, const LayerCost& layer) { return sum + layer.macs; });
}

// By hand, from the widths and sides of the tutorial's models.
TEST(LayerCostsTest, DeepNnIs94Million) {
  config::Model config;
  config.mutable_deep_nn();
  EXPECT_EQ(TotalMacs(CostsOf(config)), 1024 * 128 * 27 + 1024 * 64 * 1152 + 256 * 64 * 576 + 256 * 32 * 576 +
                                            2048 * 512 + 512 * 10);  // 94,245,888
}

TEST(LayerCostsTest, LightNnLayerByLayer) {
  config::Model config;
  config.mutable_light_nn();
  const std::vector<LayerCost> layers = CostsOf(config);
  ASSERT_EQ(layers.size(), 4u);
  EXPECT_EQ(TotalMacs(layers), 1'296'896);
  EXPECT_EQ(layers[0].layer, "features.0");
  EXPECT_THAT(layers[0].ops, ElementsAre("conv2d", "max_pool2d", "relu_"));
  EXPECT_THAT(layers[0].output_shape, ElementsAre(1, 16, 16, 16));
  EXPECT_EQ(layers[0].parameters, 16 * 27 + 16);
  EXPECT_EQ(layers[0].macs, 32 * 32 * 16 * 27);
  // The convolution's result and the pool's; ReLU works in place.
  EXPECT_EQ(layers[0].activation_bytes, 4 * (16 * 32 * 32 + 16 * 16 * 16));
  EXPECT_EQ(layers[3].layer, "classifier.3");
  EXPECT_EQ(layers[3].parameters, 2570);
  EXPECT_EQ(layers[3].activation_bytes, 4 * 10);
}

// torchvision's tables (docs/source/models.rst): "GFLOPS" at 224 px and 1000 classes, two digits behind the point.
TEST(LayerCostsTest, ResNetsAreThoseOfTorchvision) {
  const std::pair<config::ResNet::Depth, double> published[] = {
      {config::ResNet::RESNET_18, 1.81}, {config::ResNet::RESNET_34, 3.66}, {config::ResNet::RESNET_50, 4.09}};
  for (const auto& [depth, billions] : published) {
    config::Model config;
    config.mutable_resnet()->set_depth(depth);
    const std::unique_ptr<Model> model = BuildModel(config, {3, 224, 224, 1000}, 1, /*channels_last=*/false).value();
    const std::vector<LayerCost> layers = LayerCosts(Record(model.get(), at::ones({1, 3, 224, 224}), {}).value());
    EXPECT_NEAR(static_cast<double>(TotalMacs(layers)) / 1e9, billions, 0.005);
    int64_t parameters = 0;
    for (const LayerCost& layer : layers) parameters += layer.parameters;
    EXPECT_EQ(parameters, CountParameters(*model));
  }
}

struct Case {
  std::string name;
  std::vector<int64_t> images;
  std::vector<int64_t> weight;
  FunctionModel::Function forward;
  int64_t macs;
};

class MacsTest : public ::testing::TestWithParam<Case> {};

TEST_P(MacsTest, AreThoseOfThePlainLoops) {
  FunctionModel model({{"weight", at::ones(GetParam().weight)}}, GetParam().forward);
  const absl::StatusOr<Recording> recorded = Record(&model, at::ones(GetParam().images), {});
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_EQ(TotalMacs(LayerCosts(*recorded)), GetParam().macs);
}

using Tensors = std::vector<at::Tensor>;

INSTANTIATE_TEST_SUITE_P(
    Ops, MacsTest,
    ::testing::Values(
        Case{"GroupedConvolution",
             {2, 6, 8, 8},
             {4, 3, 5, 3},
             [](const at::Tensor& x, const Tensors& w) {
               return at::conv2d(x, w[0], {}, 2, {2, 1}, 1, 2);
             },
             2 * 4 * 4 * 4 * 3 * 5 * 3},
        Case{"LinearOfTokens",
             {2, 7, 6},
             {5, 6},
             [](const at::Tensor& x, const Tensors& w) { return at::linear(x, w[0]); },
             2 * 7 * 5 * 6},
        Case{"MatmulOfBatches",
             {2, 3, 7, 6},
             {6, 4},
             [](const at::Tensor& x, const Tensors& w) { return at::matmul(x, w[0]); },
             2 * 3 * 7 * 4 * 6},
        Case{"Attention",
             {2, 3, 7, 6},
             {5, 6},
             [](const at::Tensor& x, const Tensors& w) {
               const at::Tensor keys = w[0].expand({2, 3, 5, 6});
               return at::scaled_dot_product_attention(x, keys, keys);
             },
             2 * 3 * 7 * 5 * (6 + 6)},
        Case{
            "NothingForSums", {2, 3}, {3}, [](const at::Tensor& x, const Tensors& w) { return (x + w[0]).relu(); }, 0}),
    [](const auto& test) { return test.param.name; });

TEST(LayerCostsTest, AWeightMadeOfTwoParametersBelongsToTheLayerThatUsesIt) {
  FunctionModel model(
      {{"fc.weight_v", at::ones({4, 3})}, {"fc.weight_g", at::ones({4, 1})}, {"spare", at::ones({9})}},
      [](const at::Tensor& x, const Tensors& w) { return at::linear(x, at::_weight_norm(w[0], w[1], 0)); });
  const std::vector<LayerCost> layers = LayerCosts(Record(&model, at::ones({1, 3}), {}).value());
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].layer, "fc");
  EXPECT_THAT(layers[0].ops, ElementsAre("linear"));
  EXPECT_EQ(layers[0].parameters, 16);
  EXPECT_EQ(layers[1].layer, "(unused)");
  EXPECT_EQ(layers[1].parameters, 9);
}

}  // namespace
}  // namespace retort::nn
