// What a forward pass calls: the operators of ATen, as a graph. Costs (costs.h) and ONNX (nn/onnx/) are read off it, so
// that no family says anything of itself twice.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/core/ivalue.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/nn/model.h"

namespace retort::nn {

// A tensor at one point of the pass. An operator that works in place makes a new value of the same tensor.
struct RecordedValue {
  enum class Source {
    kImages,
    kParameter,
    kBuffer,
    kConstant,  // a tensor that is neither the model's nor made by an operator
    kOp,
  };
  // As it is after the pass; of a constant value, as it was at this point.
  at::Tensor tensor;
  Source source = Source::kOp;
  // Of parameters and buffers: their name in the state_dict.
  std::string name;
  // The same whatever the images are.
  bool constant = false;
  // In memory of its own: neither a view of another value nor its successor in place.
  bool allocated = false;
};

// An operator that the model itself called; what that operator called in turn is left out, so a composite such as
// linear or scaled_dot_product_attention is one. Operators that hand on their input, as dropout does in evaluation, are
// left out too.
struct RecordedOp {
  struct Argument {
    std::string name;  // as in ATen's schema: "stride"
    c10::IValue value;
    // Positions in Recording::values of a tensor or of each of a list; -1: none was given.
    std::vector<int> tensors;
  };

  std::string name;  // without "aten::": "conv2d"; in place "relu_"
  std::vector<Argument> arguments;
  std::vector<int> outputs;

  // Null if the schema has no such argument.
  const Argument* Find(absl::string_view argument) const;
  // Position of a single tensor; -1 if there is none.
  int Tensor(absl::string_view argument) const;
  // Positions of the tensors of all arguments, those that were not given left out.
  std::vector<int> Tensors() const;
};

struct Recording {
  // The first one is the images.
  std::vector<RecordedValue> values;
  // As they were called.
  std::vector<RecordedOp> ops;
  // "logits", then "embedding" and taps as far as they were asked for, by position.
  std::vector<std::pair<std::string, int>> outputs;
};

// Runs `model` once, in evaluation mode and without gradients, and leaves it in evaluation mode. images: [B,C,H,W].
//
// InvalidArgument for a tap that the model has not. Unimplemented if the graph would not say what the pass does: a
// value is read after it has been overwritten through another view of its memory. Internal if the pass throws.
absl::StatusOr<Recording> Record(Model* model, const at::Tensor& images, const Request& request);

}  // namespace retort::nn
