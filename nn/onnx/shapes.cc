#include "retort/nn/onnx/shapes.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace retort::nn {
namespace {

absl::Status Reshape(OpContext& op) {
  const std::vector<int64_t> shape = op.OutputShape();
  if (std::count(shape.begin(), shape.end(), kBatchDimension) > 1) {
    return op.Refuse("where two dimensions of its result grow with the batch");
  }
  // A dimension of the batch is the one that ONNX works out itself.
  return op.Become("Reshape", {op.Input("self"), op.graph().Integers(shape)});
}

// The value under the same name.
absl::Status Identity(OpContext& op) {
  op.SetOutput(0, op.Input("self"));
  return absl::OkStatus();
}

absl::Status Permute(OpContext& op) {
  std::vector<int64_t> permutation;
  for (const int64_t dimension : op.Integers("dims")) permutation.push_back(op.Axis("self", dimension));
  return op.Become("Transpose", {op.Input("self")}, {{"perm", permutation}});
}

absl::Status Swap(OpContext& op, int64_t first, int64_t second) {
  std::vector<int64_t> permutation(op.InputShape("self").size());
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[static_cast<size_t>(op.Axis("self", first))],
            permutation[static_cast<size_t>(op.Axis("self", second))]);
  return op.Become("Transpose", {op.Input("self")}, {{"perm", permutation}});
}

absl::Status Transpose(OpContext& op) { return Swap(op, op.Integer("dim0"), op.Integer("dim1")); }

// Of the last two dimensions, or of a matrix.
absl::Status TransposeMatrix(OpContext& op) { return Swap(op, -2, -1); }

// x[..., index, ...] without the dimension
std::string TakeOne(OpContext& op, int64_t axis, int64_t index) {
  return op.graph().Node("Gather", {op.Input("self"), op.graph().Integer(index)}, {{"axis", axis}});
}

absl::Status Select(OpContext& op) {
  op.SetOutput(0, TakeOne(op, op.Axis("self", op.Integer("dim")), op.Integer("index")));
  return absl::OkStatus();
}

absl::Status Unbind(OpContext& op) {
  for (size_t i = 0; i < op.OutputCount(); ++i) {
    op.SetOutput(i, TakeOne(op, op.Axis("self", op.Integer("dim")), static_cast<int64_t>(i)));
  }
  return absl::OkStatus();
}

absl::Status TakeRange(OpContext& op, int64_t begin, int64_t end, int64_t step) {
  GraphBuilder& graph = op.graph();
  return op.Become("Slice", {op.Input("self"), graph.Integers({begin}), graph.Integers({end}),
                             graph.Integers({op.Axis("self", op.Integer("dim"))}), graph.Integers({step})});
}

absl::Status Slice(OpContext& op) {
  const int64_t begin = op.Given("start") ? op.Integer("start") : 0;
  return TakeRange(op, begin, op.Given("end") ? op.Integer("end") : INT64_MAX, op.Integer("step"));
}

absl::Status Narrow(OpContext& op) {
  const int64_t begin = op.Integer("start");
  return TakeRange(op, begin, begin + op.Integer("length"), 1);
}

// chunk, split, split_with_sizes: parts as large as they were.
absl::Status Split(OpContext& op) {
  const int64_t axis = op.Axis("self", op.Integer("dim"));
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < op.OutputCount(); ++i) sizes.push_back(op.OutputShape(i)[static_cast<size_t>(axis)]);
  if (std::count(sizes.begin(), sizes.end(), kBatchDimension) > 0) return op.Refuse("along the batch");
  const std::vector<std::string> parts = op.graph().Nodes("Split", {op.Input("self"), op.graph().Integers(sizes)},
                                                          {{"axis", axis}}, static_cast<int>(sizes.size()));
  for (size_t i = 0; i < parts.size(); ++i) op.SetOutput(i, parts[i]);
  return absl::OkStatus();
}

absl::Status Cat(OpContext& op) {
  const int64_t rank = static_cast<int64_t>(op.OutputShape().size()), dimension = op.Integer("dim");
  return op.Become("Concat", op.Inputs("tensors"), {{"axis", dimension < 0 ? dimension + rank : dimension}});
}

absl::Status Expand(OpContext& op) {
  const std::vector<int64_t> input = op.InputShape("self"), output = op.OutputShape();
  const auto batch = std::find(output.begin(), output.end(), kBatchDimension);
  if (batch == output.end()) return op.Become("Expand", {op.Input("self"), op.graph().Integers(output)});
  // A 1 in the shape leaves the input's own size.
  std::vector<int64_t> shape = output;
  const size_t place = static_cast<size_t>(batch - output.begin());
  const size_t added = output.size() - input.size();
  if (place >= added && input[place - added] == kBatchDimension) {
    shape[place] = 1;
    return op.Become("Expand", {op.Input("self"), op.graph().Integers(shape)});
  }
  if (place != 0) return op.Refuse("where a dimension other than the first grows with the batch");
  shape.erase(shape.begin());
  const std::string rest = op.graph().Integers(shape);
  return op.Become("Expand", {op.Input("self"), op.graph().Node("Concat", {op.Batch(), rest}, {{"axis", int64_t{0}}})});
}

// Zeros around the last dimensions; `pad` lists begin and end of the last one first.
absl::Status ConstantPad(OpContext& op) {
  const std::vector<int64_t> pad = op.Integers("pad");
  const size_t rank = op.InputShape("self").size();
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    pads[rank - 1 - i] = pad[2 * i];
    pads[2 * rank - 1 - i] = pad[2 * i + 1];
  }
  const std::string value = op.Given("value") ? op.Operand("value") : op.graph().Number(0);
  return op.Become("Pad", {op.Input("self"), op.graph().Integers(pads), value});
}

absl::Status Pad(OpContext& op) {
  if (op.Text("mode") != "constant") return op.Refuse("in a mode other than constant");
  return ConstantPad(op);
}

constexpr OpConverter kConverters[] = {
    {"flatten", Reshape},
    {"reshape", Reshape},
    {"squeeze", Reshape},
    {"unflatten", Reshape},
    {"unsqueeze", Reshape},
    {"view", Reshape},
    {"alias", Identity},
    {"clone", Identity},
    {"contiguous", Identity},
    {"detach", Identity},
    {"to", Identity},
    {"permute", Permute},
    {"transpose", Transpose},
    {"mT", TransposeMatrix},
    {"t", TransposeMatrix},
    {"select", Select},
    {"unbind", Unbind},
    {"slice", Slice},
    {"narrow", Narrow},
    {"chunk", Split},
    {"split", Split},
    {"split_with_sizes", Split},
    {"cat", Cat},
    {"expand", Expand},
    {"expand_as", Expand},
    {"constant_pad_nd", ConstantPad},
    {"pad", Pad},
};

}  // namespace

absl::Span<const OpConverter> ShapeConverters() { return kConverters; }

}  // namespace retort::nn
