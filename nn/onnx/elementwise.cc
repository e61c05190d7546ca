#include "retort/nn/onnx/elementwise.h"

#include <cmath>

namespace retort::nn {
namespace {

// max(low, min(x, high)); an operand "" is no limit.
absl::Status Clip(OpContext& op, const std::string& low, const std::string& high) {
  return op.Become("Clip", {op.Input("self"), low, high});
}

std::string OptionalOperand(OpContext& op, absl::string_view argument) {
  return op.Given(argument) ? op.Operand(argument) : "";
}

absl::Status Relu(OpContext& op) { return op.Become("Relu", {op.Input("self")}); }

absl::Status Sigmoid(OpContext& op) { return op.Become("Sigmoid", {op.Input("self")}); }

absl::Status Tanh(OpContext& op) { return op.Become("Tanh", {op.Input("self")}); }

absl::Status Relu6(OpContext& op) { return Clip(op, op.graph().Number(0), op.graph().Number(6)); }

absl::Status Hardtanh(OpContext& op) { return Clip(op, op.Operand("min_val"), op.Operand("max_val")); }

absl::Status Clamp(OpContext& op) { return Clip(op, OptionalOperand(op, "min"), OptionalOperand(op, "max")); }

absl::Status ClampMin(OpContext& op) { return Clip(op, op.Operand("min"), ""); }

// min(max(x / 6 + 1 / 2, 0), 1)
absl::Status Hardsigmoid(OpContext& op) {
  return op.Become("HardSigmoid", {op.Input("self")}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
}

absl::Status Hardswish(OpContext& op) { return op.Become("HardSwish", {op.Input("self")}); }

// x sigmoid(x)
absl::Status Silu(OpContext& op) {
  return op.Become("Mul", {op.Input("self"), op.graph().Node("Sigmoid", {op.Input("self")})});
}

// x / 2 (1 + erf(x / sqrt 2)), or x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
absl::Status Gelu(OpContext& op) {
  GraphBuilder& graph = op.graph();
  const std::string x = op.Input("self");
  std::string curve;
  if (op.Text("approximate") == "tanh") {
    const std::string square = graph.Node("Mul", {x, x});
    const std::string factor =
        graph.Node("Add", {graph.Node("Mul", {square, graph.Number(0.044715f)}), graph.Number(1)});
    const float scale = static_cast<float>(std::sqrt(2 / M_PI));
    curve = graph.Node("Tanh", {graph.Node("Mul", {graph.Node("Mul", {x, factor}), graph.Number(scale)})});
  } else {
    curve = graph.Node("Erf", {graph.Node("Mul", {x, graph.Number(static_cast<float>(std::sqrt(0.5)))})});
  }
  const std::string half = graph.Node("Mul", {x, graph.Number(0.5f)});
  return op.Become("Mul", {half, graph.Node("Add", {curve, graph.Number(1)})});
}

// x for x > 0, else alpha (exp(x) - 1)
absl::Status Elu(OpContext& op) {
  if (op.Number("scale") != 1 || op.Number("input_scale") != 1) return op.Refuse("with a scale other than 1");
  return op.Become("Elu", {op.Input("self")}, {{"alpha", static_cast<float>(op.Number("alpha"))}});
}

// self + alpha other, or self - alpha other
absl::Status Sum(OpContext& op, const std::string& type) {
  std::string other = op.Operand("other");
  if (op.Given("alpha") && op.Number("alpha") != 1) {
    other = op.graph().Node("Mul", {other, op.Operand("alpha")});
  }
  return op.Become(type, {op.Input("self"), other});
}

absl::Status Add(OpContext& op) { return Sum(op, "Add"); }

absl::Status Sub(OpContext& op) { return Sum(op, "Sub"); }

absl::Status Mul(OpContext& op) { return op.Become("Mul", {op.Input("self"), op.Operand("other")}); }

absl::Status Div(OpContext& op) {
  if (op.Given("rounding_mode")) return op.Refuse("with a rounding mode");
  return op.Become("Div", {op.Input("self"), op.Operand("other")});
}

constexpr OpConverter kConverters[] = {
    {"relu", Relu},
    {"relu6", Relu6},
    {"hardtanh", Hardtanh},
    {"clamp", Clamp},
    {"clamp_min", ClampMin},
    {"sigmoid", Sigmoid},
    {"tanh", Tanh},
    {"hardsigmoid", Hardsigmoid},
    {"hardswish", Hardswish},
    {"silu", Silu},
    {"gelu", Gelu},
    {"elu", Elu},
    {"add", Add},
    {"sub", Sub},
    {"mul", Mul},
    {"div", Div},
};

}  // namespace

absl::Span<const OpConverter> ElementwiseConverters() { return kConverters; }

}  // namespace retort::nn
