#include "retort/nn/onnx/op_context.h"

#include "absl/strings/str_cat.h"

namespace retort::nn {

std::vector<int64_t> OnnxConversion::Shape(int position) const {
  const at::IntArrayRef one = recording->values[static_cast<size_t>(position)].tensor.sizes();
  const at::IntArrayRef two = other->values[static_cast<size_t>(position)].tensor.sizes();
  std::vector<int64_t> shape = one.vec();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (one[i] != two[i]) shape[i] = kBatchDimension;
  }
  return shape;
}

bool OnnxConversion::Folds(int position) const {
  const RecordedValue& value = recording->values[static_cast<size_t>(position)];
  return value.constant && value.tensor.sizes() == other->values[static_cast<size_t>(position)].tensor.sizes();
}

std::string OnnxConversion::Name(int position) {
  std::string& name = names[static_cast<size_t>(position)];
  if (name.empty()) {
    const RecordedValue& value = recording->values[static_cast<size_t>(position)];
    const int parameter = transposed[static_cast<size_t>(position)];
    name = parameter < 0 ? graph->Tensor(value.name, value.tensor)
                         : graph->Node("Transpose", {Name(parameter)}, {{"perm", std::vector<int64_t>{1, 0}}});
  }
  return name;
}

const std::string& OnnxConversion::Batch() {
  if (batch.empty()) batch = graph->Node("Shape", {images}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  return batch;
}

const c10::IValue& OpContext::Value(absl::string_view argument) const {
  const RecordedOp::Argument* found = op_.Find(argument);
  TORCH_CHECK(found != nullptr, op_.name, " has no argument ", std::string(argument));
  const c10::IValue& other = other_.Find(argument)->value;
  const bool depends = (found->value.isInt() && found->value.toInt() != other.toInt()) ||
                       (found->value.isIntList() && found->value.toIntVector() != other.toIntVector());
  TORCH_CHECK(!depends, "its argument ", std::string(argument), " depends on the size of the batch");
  return found->value;
}

bool OpContext::Given(absl::string_view argument) const {
  const RecordedOp::Argument* found = op_.Find(argument);
  return found != nullptr && !found->value.isNone();
}

int64_t OpContext::Integer(absl::string_view argument) const { return Value(argument).toInt(); }

double OpContext::Number(absl::string_view argument) const { return Value(argument).toScalar().toDouble(); }

bool OpContext::Flag(absl::string_view argument) const { return Value(argument).toBool(); }

std::string OpContext::Text(absl::string_view argument) const { return Value(argument).toStringRef(); }

std::vector<int64_t> OpContext::Integers(absl::string_view argument) const { return Value(argument).toIntVector(); }

std::vector<int64_t> OpContext::Integers(absl::string_view argument, size_t count) const {
  const c10::IValue& value = Value(argument);
  std::vector<int64_t> values = value.isInt() ? std::vector<int64_t>{value.toInt()} : value.toIntVector();
  if (values.size() == 1) values.resize(count, values[0]);
  return values;
}

std::string OpContext::Input(absl::string_view argument) {
  const int position = op_.Tensor(argument);
  return position < 0 ? "" : conversion_.Name(position);
}

std::vector<std::string> OpContext::Inputs(absl::string_view argument) {
  std::vector<std::string> names;
  for (const int position : op_.Find(argument)->tensors) names.push_back(conversion_.Name(position));
  return names;
}

std::string OpContext::Operand(absl::string_view argument) {
  return Value(argument).isTensor() ? Input(argument) : graph().Number(static_cast<float>(Number(argument)));
}

std::vector<int64_t> OpContext::InputShape(absl::string_view argument) const {
  return conversion_.Shape(op_.Tensor(argument));
}

std::vector<int64_t> OpContext::OutputShape(size_t i) const { return conversion_.Shape(op_.outputs[i]); }

int64_t OpContext::Axis(absl::string_view argument, int64_t dimension) const {
  return dimension < 0 ? dimension + static_cast<int64_t>(InputShape(argument).size()) : dimension;
}

void OpContext::SetOutput(size_t i, const std::string& name) {
  conversion_.names[static_cast<size_t>(op_.outputs[i])] = name;
}

absl::Status OpContext::Become(const std::string& type, const std::vector<std::string>& inputs,
                               const OnnxAttributes& attributes) {
  SetOutput(0, graph().Node(type, inputs, attributes));
  return absl::OkStatus();
}

absl::Status OpContext::Refuse(absl::string_view why) const {
  return absl::UnimplementedError(absl::StrCat("the operator ", op_.name, " is not exported ", why));
}

}  // namespace retort::nn
