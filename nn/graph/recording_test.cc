#include "retort/nn/graph/recording.h"

#include <stdexcept>

#include "ATen/TensorOperators.h"
#include "ATen/ops/_weight_norm.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/chunk.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/full.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/scaled_dot_product_attention.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/nn/build_model.h"
#include "retort/nn/graph/function_model.h"

namespace retort::nn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> OpNames(const Recording& recording) {
  std::vector<std::string> names;
  for (const RecordedOp& op : recording.ops) names.push_back(op.name);
  return names;
}

absl::StatusOr<Recording> RecordFunction(std::vector<NamedTensor> parameters, FunctionModel::Function forward,
                                         const at::Tensor& images) {
  FunctionModel model(std::move(parameters), std::move(forward));
  return Record(&model, images, {});
}

TEST(RecordTest, IsWhatTheModelCallsWithTheNamesOfItsWeights) {
  config::Model config;
  config.mutable_light_nn();
  const std::unique_ptr<Model> model = BuildModel(config, {}, 1, /*channels_last=*/false).value();
  const absl::StatusOr<Recording> recorded =
      Record(model.get(), at::ones({2, 3, 32, 32}), {.embedding = true, .taps = {"conv1"}});
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  // Dropout hands on its input and is left out.
  EXPECT_THAT(OpNames(*recorded), ElementsAre("conv2d", "max_pool2d", "relu_", "conv2d", "max_pool2d", "relu_",
                                              "flatten", "linear", "relu_", "linear"));
  const RecordedOp& conv2 = recorded->ops[3];
  EXPECT_EQ(recorded->values[static_cast<size_t>(conv2.Tensor("weight"))].name, "features.3.weight");
  EXPECT_EQ(recorded->values[static_cast<size_t>(conv2.Tensor("bias"))].name, "features.3.bias");
  EXPECT_EQ(conv2.Tensor("input"), recorded->ops[2].outputs[0]);
  EXPECT_EQ(recorded->ops[0].Tensor("input"), 0);
  ASSERT_EQ(recorded->outputs.size(), 3u);
  EXPECT_EQ(recorded->outputs[0], std::make_pair(std::string("logits"), recorded->ops[9].outputs[0]));
  EXPECT_EQ(recorded->outputs[1], std::make_pair(std::string("embedding"), recorded->ops[6].outputs[0]));
  EXPECT_EQ(recorded->outputs[2], std::make_pair(std::string("conv1"), recorded->ops[2].outputs[0]));
}

TEST(RecordTest, ACompositeIsOneOperator) {
  const absl::StatusOr<Recording> recorded = RecordFunction(
      {},
      [](const at::Tensor& x, const std::vector<at::Tensor>&) {
        const std::vector<at::Tensor> parts = at::chunk(x, 3, 1);
        return at::cat({at::scaled_dot_product_attention(parts[0], parts[1], parts[2]), parts[0]}, 1);
      },
      at::ones({2, 3, 4, 5}));
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_THAT(OpNames(*recorded), ElementsAre("chunk", "scaled_dot_product_attention", "cat"));
  EXPECT_EQ(recorded->ops[0].outputs.size(), 3u);
  EXPECT_THAT(recorded->ops[2].Find("tensors")->tensors,
              ElementsAre(recorded->ops[1].outputs[0], recorded->ops[0].outputs[0]));
}

TEST(RecordTest, AResultInPlaceIsANewValue) {
  const absl::StatusOr<Recording> recorded = RecordFunction(
      {},
      [](const at::Tensor& x, const std::vector<at::Tensor>&) {
        at::Tensor y = x * 2;
        at::Tensor z = y + 1;
        y.relu_();
        return y + z;
      },
      at::ones({2, 3}));
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_THAT(OpNames(*recorded), ElementsAre("mul", "add", "relu_", "add"));
  EXPECT_EQ(recorded->ops[3].Tensor("self"), recorded->ops[2].outputs[0]);
  EXPECT_EQ(recorded->ops[1].Tensor("self"), recorded->ops[0].outputs[0]);
  EXPECT_TRUE(recorded->values[static_cast<size_t>(recorded->ops[0].outputs[0])].allocated);
  EXPECT_FALSE(recorded->values[static_cast<size_t>(recorded->ops[2].outputs[0])].allocated);
}

TEST(RecordTest, RefusesAValueOverwrittenThroughAnotherView) {
  const absl::StatusOr<Recording> recorded = RecordFunction(
      {},
      [](const at::Tensor& x, const std::vector<at::Tensor>&) {
        const at::Tensor y = x * 2;
        y.view({-1}).relu_();
        return y + 1;
      },
      at::ones({2, 3}));
  EXPECT_EQ(recorded.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(recorded.status().message()), HasSubstr("add reads a tensor whose memory relu_ has"));
}

TEST(RecordTest, KnowsWhatNoImageEnters) {
  const absl::StatusOr<Recording> recorded = RecordFunction(
      {{"fc.weight_v", at::ones({4, 3})}, {"fc.weight_g", at::full({4, 1}, 2.0)}},
      [](const at::Tensor& x, const std::vector<at::Tensor>& parameters) {
        at::Tensor weight = at::_weight_norm(parameters[0], parameters[1], 0);
        at::Tensor doubled = weight * 2;
        const at::Tensor first = at::linear(x, doubled);
        doubled.add_(1);
        return first + at::linear(x, doubled);
      },
      at::ones({2, 3}));
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_THAT(OpNames(*recorded), ElementsAre("_weight_norm", "mul", "linear", "add_", "linear", "add"));
  const auto weight_of = [&](size_t op) {
    return recorded->values[static_cast<size_t>(recorded->ops[op].Tensor("weight"))];
  };
  EXPECT_TRUE(weight_of(2).constant);
  EXPECT_FALSE(recorded->values[static_cast<size_t>(recorded->ops[2].outputs[0])].constant);
  // As it was when it was read, and not what became of it: 2 * 2 / sqrt(3), and 1 more.
  EXPECT_NEAR(weight_of(2).tensor.data_ptr<float>()[0], 2.309401f, 1e-6f);
  EXPECT_NEAR(weight_of(4).tensor.data_ptr<float>()[0], 3.309401f, 1e-6f);
}

TEST(RecordTest, ReportsAPassThatThrows) {
  const auto shapes = [](const at::Tensor& x, const std::vector<at::Tensor>&) { return x.view({5}); };
  const absl::StatusOr<Recording> recorded = RecordFunction({}, shapes, at::ones({2, 3}));
  EXPECT_EQ(recorded.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(recorded.status().message()), HasSubstr("forward pass failed"));
  // And the next one is recorded as ever.
  const auto doubles = [](const at::Tensor& x, const std::vector<at::Tensor>&) { return x * 2; };
  EXPECT_THAT(OpNames(RecordFunction({}, doubles, at::ones({2, 3})).value()), ElementsAre("mul"));
}

TEST(RecordTest, NamesATapThatIsNotThere) {
  FunctionModel model({}, [](const at::Tensor& x, const std::vector<at::Tensor>&) { return x * 2; });
  const absl::StatusOr<Recording> recorded = Record(&model, at::ones({1, 2}), {.embedding = false, .taps = {"layer9"}});
  EXPECT_EQ(recorded.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace retort::nn
