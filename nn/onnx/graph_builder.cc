#include "retort/nn/onnx/graph_builder.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace retort::nn {
namespace {

void SetAttribute(const std::string& name, const OnnxAttribute& value, onnx::AttributeProto* attribute) {
  attribute->set_name(name);
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(*integer);
  } else if (const auto* number = std::get_if<float>(&value)) {
    attribute->set_type(onnx::AttributeProto::FLOAT);
    attribute->set_f(*number);
  } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
    attribute->set_type(onnx::AttributeProto::INTS);
    attribute->mutable_ints()->Assign(integers->begin(), integers->end());
  } else {
    attribute->set_type(onnx::AttributeProto::STRING);
    attribute->set_s(std::get<std::string>(value));
  }
}

}  // namespace

std::string GraphBuilder::NewName(const std::string& what) {
  return absl::StrCat(scope_, scope_.empty() ? "" : "/", what, "_", next_++);
}

void GraphBuilder::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

std::vector<std::string> GraphBuilder::Nodes(const std::string& type, const std::vector<std::string>& inputs,
                                             const OnnxAttributes& attributes, int outputs) {
  onnx::NodeProto* node = graph_->add_node();
  node->set_name(NewName(type));
  node->set_op_type(type);
  for (const std::string& input : inputs) node->add_input(input);
  while (node->input_size() > 0 && node->input(node->input_size() - 1).empty()) node->mutable_input()->RemoveLast();
  for (const auto& [name, value] : attributes) SetAttribute(name, value, node->add_attribute());
  for (int i = 0; i < outputs; ++i) node->add_output(outputs == 1 ? node->name() : absl::StrCat(node->name(), ".", i));
  return {node->output().begin(), node->output().end()};
}

std::string GraphBuilder::Node(const std::string& type, const std::vector<std::string>& inputs,
                               const OnnxAttributes& attributes) {
  return Nodes(type, inputs, attributes, 1)[0];
}

std::string GraphBuilder::Tensor(const std::string& name, const at::Tensor& tensor) {
  onnx::TensorProto* constant = graph_->add_initializer();
  constant->set_name(name.empty() ? NewName("constant") : name);
  for (const int64_t size : tensor.sizes()) constant->add_dims(size);
  at::Tensor values = tensor.detach().cpu().contiguous();
  // A number that C++ code mixes with tensors is an f64 scalar.
  if (values.scalar_type() == at::kDouble && values.dim() == 0) values = values.to(at::kFloat);
  if (values.scalar_type() == at::kFloat) {
    constant->set_data_type(onnx::TensorProto::FLOAT);
  } else if (values.scalar_type() == at::kLong) {
    constant->set_data_type(onnx::TensorProto::INT64);
  } else {
    Fail(absl::UnimplementedError(absl::StrCat("the constant \"", constant->name(), "\" is ",
                                               c10::toString(values.scalar_type()),
                                               "; only f32 models are exported, so convert the model first")));
    return constant->name();
  }
  constant->set_raw_data(values.const_data_ptr(), values.nbytes());
  return constant->name();
}

std::string GraphBuilder::Number(float value) {
  const auto [entry, added] = numbers_.try_emplace(value);
  if (added) {
    onnx::TensorProto* constant = graph_->add_initializer();
    constant->set_name(entry->second = absl::StrCat("number_", numbers_.size()));
    constant->set_data_type(onnx::TensorProto::FLOAT);
    constant->add_float_data(value);
  }
  return entry->second;
}

std::string GraphBuilder::Integers(const std::vector<int64_t>& values) {
  const auto [entry, added] = integers_.try_emplace(values);
  if (added) {
    onnx::TensorProto* constant = graph_->add_initializer();
    constant->set_name(entry->second = absl::StrCat("integers_", integers_.size()));
    constant->set_data_type(onnx::TensorProto::INT64);
    constant->add_dims(static_cast<int64_t>(values.size()));
    constant->mutable_int64_data()->Assign(values.begin(), values.end());
  }
  return entry->second;
}

std::string GraphBuilder::Integer(int64_t value) {
  const auto [entry, added] = scalars_.try_emplace(value);
  if (added) {
    onnx::TensorProto* constant = graph_->add_initializer();
    constant->set_name(entry->second = absl::StrCat("integer_", scalars_.size()));
    constant->set_data_type(onnx::TensorProto::INT64);
    constant->add_int64_data(value);
  }
  return entry->second;
}

}  // namespace retort::nn
