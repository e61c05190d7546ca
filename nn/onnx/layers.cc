#include "retort/nn/onnx/layers.h"

#include <cmath>
#include <utility>

#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"

namespace retort::nn {
namespace {

// Pads of both sides, as ONNX lists them: first all beginnings, then all ends.
std::vector<int64_t> BothSides(const std::vector<int64_t>& padding) {
  std::vector<int64_t> pads = padding;
  pads.insert(pads.end(), padding.begin(), padding.end());
  return pads;
}

absl::Status Conv2d(OpContext& op) {
  const std::vector<int64_t> weight = op.InputShape("weight");  // [C_out,C_in/groups,H,W]
  return op.Become("Conv", {op.Input("input"), op.Input("weight"), op.Input("bias")},
                   {{"kernel_shape", std::vector<int64_t>{weight[2], weight[3]}},
                    {"strides", op.Integers("stride", 2)},
                    {"pads", BothSides(op.Integers("padding", 2))},
                    {"dilations", op.Integers("dilation", 2)},
                    {"group", op.Integer("groups")}});
}

// x W^T + b
absl::Status Linear(OpContext& op) {
  GraphBuilder& graph = op.graph();
  const std::string input = op.Input("input"), weight = op.Input("weight"), bias = op.Input("bias");
  if (op.InputShape("input").size() == 2) {
    return op.Become("Gemm", {input, weight, bias}, {{"transB", int64_t{1}}});
  }
  // The weight stays as it is, under its name; who runs the graph transposes constants once.
  const std::string transposed = graph.Node("Transpose", {weight}, {{"perm", std::vector<int64_t>{1, 0}}});
  if (bias.empty()) return op.Become("MatMul", {input, transposed});
  return op.Become("Add", {graph.Node("MatMul", {input, transposed}), bias});
}

absl::Status Matmul(OpContext& op) {
  return op.Become("MatMul", {op.Input("self"), op.Input(op.op() == "matmul" ? "other" : "mat2")});
}

// beta self + alpha mat1 mat2
absl::Status Addmm(OpContext& op) {
  return op.Become(
      "Gemm", {op.Input("mat1"), op.Input("mat2"), op.Input("self")},
      {{"alpha", static_cast<float>(op.Number("alpha"))}, {"beta", static_cast<float>(op.Number("beta"))}});
}

absl::Status BatchNorm(OpContext& op) {
  if (op.Flag("training") || !op.Given("running_mean")) return op.Refuse("with the statistics of the batch");
  const std::vector<int64_t> channels = op.InputShape("running_mean");
  const std::string scale = op.Given("weight") ? op.Input("weight") : op.graph().Tensor("", at::ones(channels));
  const std::string offset = op.Given("bias") ? op.Input("bias") : op.graph().Tensor("", at::zeros(channels));
  return op.Become("BatchNormalization",
                   {op.Input("input"), scale, offset, op.Input("running_mean"), op.Input("running_var")},
                   {{"epsilon", static_cast<float>(op.Number("eps"))}});
}

absl::Status LayerNorm(OpContext& op) {
  const std::vector<int64_t> shape = op.Integers("normalized_shape");
  const std::string scale = op.Given("weight") ? op.Input("weight") : op.graph().Tensor("", at::ones(shape));
  return op.Become("LayerNormalization", {op.Input("input"), scale, op.Input("bias")},
                   {{"axis", -static_cast<int64_t>(shape.size())}, {"epsilon", static_cast<float>(op.Number("eps"))}});
}

// Kernel, stride (the kernel's where it is not given) and pads.
OnnxAttributes Window(OpContext& op) {
  const std::vector<int64_t> kernel = op.Integers("kernel_size", 2), stride = op.Integers("stride", 2);
  return {{"kernel_shape", kernel},
          {"strides", stride.empty() ? kernel : stride},
          {"pads", BothSides(op.Integers("padding", 2))}};
}

absl::Status MaxPool2d(OpContext& op) {
  // ONNX keeps a last window that begins in the padding; PyTorch does not.
  if (op.Flag("ceil_mode")) return op.Refuse("with ceil_mode");
  OnnxAttributes attributes = Window(op);
  attributes.emplace_back("dilations", op.Integers("dilation", 2));
  return op.Become("MaxPool", {op.Input("self")}, attributes);
}

absl::Status AvgPool2d(OpContext& op) {
  if (op.Flag("ceil_mode")) return op.Refuse("with ceil_mode");
  if (op.Given("divisor_override")) return op.Refuse("with divisor_override");
  OnnxAttributes attributes = Window(op);
  attributes.emplace_back("count_include_pad", int64_t{op.Flag("count_include_pad")});
  return op.Become("AveragePool", {op.Input("self")}, attributes);
}

// Windows of one size, where the sides are multiples of what is asked for.
absl::Status AdaptiveAvgPool2d(OpContext& op) {
  const std::vector<int64_t> input = op.InputShape("self"), output = op.OutputShape();
  const size_t rows = input.size() - 2, columns = input.size() - 1;
  if (output[rows] == 1 && output[columns] == 1) return op.Become("GlobalAveragePool", {op.Input("self")});
  if (input[rows] % output[rows] != 0 || input[columns] % output[columns] != 0) {
    return op.Refuse("unless the sides are multiples of the output's");
  }
  const std::vector<int64_t> kernel = {input[rows] / output[rows], input[columns] / output[columns]};
  return op.Become("AveragePool", {op.Input("self")}, {{"kernel_shape", kernel}, {"strides", kernel}});
}

absl::Status Mean(OpContext& op) {
  if (!op.Given("dim")) return op.Refuse("over all dimensions, for the batch is one of them");
  std::vector<int64_t> axes;
  for (const int64_t dimension : op.Integers("dim")) axes.push_back(op.Axis("self", dimension));
  return op.Become("ReduceMean", {op.Input("self")}, {{"axes", axes}, {"keepdims", int64_t{op.Flag("keepdim")}}});
}

absl::Status Softmax(OpContext& op) { return op.Become("Softmax", {op.Input("self")}, {{"axis", op.Integer("dim")}}); }

// softmax(q k^T scale + mask) v over the last two dimensions, scale by default 1 / sqrt E
absl::Status ScaledDotProductAttention(OpContext& op) {
  if (op.Flag("is_causal")) return op.Refuse("with is_causal");
  if (op.Flag("enable_gqa")) return op.Refuse("with enable_gqa");
  if (op.Number("dropout_p") != 0) return op.Refuse("with dropout");
  GraphBuilder& graph = op.graph();
  const std::vector<int64_t> key = op.InputShape("key");  // [...,S,E]
  std::vector<int64_t> transposition;
  for (size_t i = 0; i < key.size(); ++i) transposition.push_back(static_cast<int64_t>(i));
  std::swap(transposition[key.size() - 1], transposition[key.size() - 2]);
  const double scale = op.Given("scale") ? op.Number("scale") : 1 / std::sqrt(static_cast<double>(key.back()));
  const std::string query = graph.Node("Mul", {op.Input("query"), graph.Number(static_cast<float>(scale))});
  std::string scores =
      graph.Node("MatMul", {query, graph.Node("Transpose", {op.Input("key")}, {{"perm", transposition}})});
  if (op.Given("attn_mask")) scores = graph.Node("Add", {scores, op.Input("attn_mask")});
  return op.Become("MatMul", {graph.Node("Softmax", {scores}, {{"axis", int64_t{-1}}}), op.Input("value")});
}

constexpr OpConverter kConverters[] = {
    {"conv2d", Conv2d},
    {"linear", Linear},
    {"matmul", Matmul},
    {"mm", Matmul},
    {"bmm", Matmul},
    {"addmm", Addmm},
    {"batch_norm", BatchNorm},
    {"layer_norm", LayerNorm},
    {"max_pool2d", MaxPool2d},
    {"avg_pool2d", AvgPool2d},
    {"adaptive_avg_pool2d", AdaptiveAvgPool2d},
    {"mean", Mean},
    {"softmax", Softmax},
    {"scaled_dot_product_attention", ScaledDotProductAttention},
};

}  // namespace

absl::Span<const OpConverter> LayerConverters() { return kConverters; }

}  // namespace retort::nn
