#include "retort/nn/onnx/export_onnx.h"

#include <memory>
#include <set>

#include "ATen/TensorOperators.h"
#include "ATen/ops/_weight_norm.h"
#include "ATen/ops/addmm.h"
#include "ATen/ops/batch_norm.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx.pb.h"

#include "retort/nn/build_model.h"
#include "retort/nn/graph/function_model.h"

namespace retort::nn {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tensors = std::vector<at::Tensor>;

constexpr ModelShape kSmall = {.channels = 2, .height = 3, .width = 4, .classes = 5};

absl::StatusOr<onnx::ModelProto> Export(Model* model, const ModelShape& shape, const OnnxOptions& options) {
  const absl::StatusOr<std::string> bytes = ExportOnnx(model, shape, options);
  if (!bytes.ok()) return bytes.status();
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(*bytes));
  return proto;
}

std::set<std::string> Initializers(const onnx::ModelProto& proto) {
  std::set<std::string> names;
  for (const onnx::TensorProto& tensor : proto.graph().initializer()) names.insert(tensor.name());
  return names;
}

std::unique_ptr<Model> LightNn() {
  config::Model config;
  config.mutable_light_nn();
  return BuildModel(config, {}, 1, /*channels_last=*/false).value();
}

TEST(ExportOnnxTest, KeepsNamesAndBytesOfWeightsAndLeavesTheBatchFree) {
  const std::unique_ptr<Model> model = LightNn();
  OnnxOptions options;
  options.outputs = {.embedding = true, .taps = {"features"}};
  options.metadata = {{"retort.class_names", "[\"cat\"]"}};
  const onnx::ModelProto proto = Export(model.get(), {}, options).value();
  EXPECT_EQ(proto.ir_version(), 8);
  ASSERT_EQ(proto.opset_import_size(), 1);
  EXPECT_EQ(proto.opset_import(0).version(), 17);
  ASSERT_EQ(proto.metadata_props_size(), 1);
  EXPECT_EQ(proto.metadata_props(0).key(), "retort.class_names");
  EXPECT_EQ(proto.metadata_props(0).value(), "[\"cat\"]");

  std::set<std::string> names;
  for (const auto& [name, tensor] : model->Parameters()) {
    names.insert(name);
    for (const onnx::TensorProto& constant : proto.graph().initializer()) {
      if (constant.name() != name) continue;
      const at::Tensor row_major = tensor.detach().contiguous();
      EXPECT_EQ(constant.raw_data(),
                std::string(static_cast<const char*>(row_major.const_data_ptr()), row_major.nbytes()));
    }
  }
  // The size to flatten to is the only further constant.
  std::set<std::string> all = names;
  all.insert("integers_1");
  EXPECT_EQ(Initializers(proto), all);

  ASSERT_EQ(proto.graph().output_size(), 3);
  EXPECT_EQ(proto.graph().output(0).name(), "logits");
  EXPECT_EQ(proto.graph().output(1).name(), "embedding");
  EXPECT_EQ(proto.graph().output(2).name(), "features");
  const onnx::TensorShapeProto& logits = proto.graph().output(0).type().tensor_type().shape();
  ASSERT_EQ(logits.dim_size(), 2);
  EXPECT_EQ(logits.dim(0).dim_param(), "batch");
  EXPECT_EQ(logits.dim(1).dim_value(), 10);
  EXPECT_EQ(proto.graph().node(0).name(), "features.0/Conv_0");
}

TEST(ExportOnnxTest, ComputesWhatNoImageEnters) {
  FunctionModel model({{"fc.weight_v", at::ones({5, 24})}, {"fc.weight_g", at::ones({5, 1})}},
                      [](const at::Tensor& x, const Tensors& p) {
                        return at::linear(x.flatten(1), at::_weight_norm(p[0], p[1], 0) * 2);
                      });
  const onnx::ModelProto proto = Export(&model, kSmall, {}).value();
  std::vector<std::string> types;
  for (const onnx::NodeProto& node : proto.graph().node()) types.push_back(node.op_type());
  EXPECT_THAT(types, ElementsAre("Reshape", "Gemm", "Identity"));
  EXPECT_EQ(Initializers(proto).count("fc.weight_v"), 0u);
}

TEST(ExportOnnxTest, KeepsTheNameOfAWeightThatIsMultipliedByItsTranspose) {
  FunctionModel model({{"fc.weight", at::ones({5, 24})}, {"fc.bias", at::ones({5})}},
                      [](const at::Tensor& x, const Tensors& p) { return at::addmm(p[1], x.flatten(1), p[0].t()); });
  const std::set<std::string> names = Initializers(Export(&model, kSmall, {}).value());
  EXPECT_EQ(names, (std::set<std::string>{"fc.weight", "fc.bias", "integers_1"}));
}

struct BadCase {
  std::string name;
  FunctionModel::Function forward;
  OnnxOptions options;
  absl::StatusCode code;
  std::string message;
};

class RefusedTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(RefusedTest, IsNamed) {
  FunctionModel model({{"head.weight", at::ones({4})}}, GetParam().forward);
  const absl::Status status = ExportOnnx(&model, kSmall, GetParam().options).status();
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

at::Tensor Doubled(const at::Tensor& x, const Tensors& /*p*/) { return x * 2; }

INSTANTIATE_TEST_SUITE_P(
    Cases, RefusedTest,
    ::testing::Values(BadCase{"UnknownOperator",
                              [](const at::Tensor& x, const Tensors& p) { return (x + p[0]).cumsum(1); },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "the operator cumsum has no counterpart yet"},
                      BadCase{"UnknownOperatorOfALayer",
                              [](const at::Tensor& x, const Tensors& p) { return x.fmod(p[0]); },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "head: the operator fmod has"},
                      BadCase{"AnotherType",
                              [](const at::Tensor& x, const Tensors&) { return x.to(at::kDouble); },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "the operator to gives Double; only f32 is exported"},
                      BadCase{"StatisticsOfTheBatch",
                              [](const at::Tensor& x, const Tensors&) {
                                return at::batch_norm(x, {}, {}, at::zeros({2}), at::ones({2}), true, 0.1, 1e-5, false);
                              },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "batch_norm is not exported with the statistics of the batch"},
                      BadCase{"MeanOverTheBatch",
                              [](const at::Tensor& x, const Tensors&) { return x - x.mean(); },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "mean"},
                      BadCase{"ArgumentOfTheBatch",
                              [](const at::Tensor& x, const Tensors&) { return x * 2 + x.size(0); },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "its argument other depends on the size of the batch"},
                      BadCase{"OtherOperatorsForAnotherBatch",
                              [](const at::Tensor& x, const Tensors&) { return x.size(0) == 2 ? x * 2 : x + 2; },
                              {},
                              absl::StatusCode::kUnimplemented,
                              "calls other operators for a batch of 3"},
                      BadCase{"MeanWithoutItsInput",
                              Doubled,
                              {.mean = {1, 2}, .std = {1, 2}},
                              absl::StatusCode::kInvalidArgument,
                              "mean and std have 2 and 2 numbers; 0 of each"},
                      BadCase{"TooFewChannels",
                              Doubled,
                              {.input = OnnxOptions::Input::kUnit, .mean = {1}, .std = {1}},
                              absl::StatusCode::kInvalidArgument,
                              "2 of each are needed"},
                      BadCase{"StdOfZero",
                              Doubled,
                              {.input = OnnxOptions::Input::kUnit, .mean = {1, 1}, .std = {1, 0}},
                              absl::StatusCode::kInvalidArgument,
                              "above 0"},
                      BadCase{"NoSuchTap",
                              Doubled,
                              {.outputs = {.embedding = false, .taps = {"layer9"}}},
                              absl::StatusCode::kInvalidArgument,
                              "layer9"}),
    [](const auto& test) { return test.param.name; });

TEST(ExportOnnxTest, RefusesWhatTheFormatCannotHold) {
  // Never written to, so that it takes addresses but no memory.
  FunctionModel model({{"embedding.weight", at::empty({int64_t{1} << 29})}}, Doubled);
  const absl::Status status = ExportOnnx(&model, kSmall, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("2147483648 bytes"), HasSubstr("at most 2147483647")));
}

}  // namespace
}  // namespace retort::nn
