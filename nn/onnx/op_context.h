// What the conversion of one recorded operator sees.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/nn/graph/recording.h"
#include "retort/nn/onnx/graph_builder.h"

namespace retort::nn {

// A dimension that grows with the batch.
inline constexpr int64_t kBatchDimension = -1;

// The model, recorded with two batch sizes, on its way into an ONNX graph. What differs between the two is what depends
// on the batch.
struct OnnxConversion {
  const Recording* recording;
  const Recording* other;
  GraphBuilder* graph;
  std::string images;                   // name of the graph's input
  std::vector<std::string> names = {};  // of the recording's values in the graph; empty: not in it yet
  std::vector<int> transposed = {};     // of each value: which parameter's transpose it is, or -1
  std::string batch = {};               // name of [batch], once something has asked for it

  // Sizes, kBatchDimension where they differ between the recordings.
  std::vector<int64_t> Shape(int position) const;
  // Whether the value can be written down: no image enters it, nor does the size of the batch.
  bool Folds(int position) const;
  // Name of a value; a constant one is added to the graph when it is first asked for. torch::nn::Linear multiplies by
  // the transpose of its weight: that is written as a node, so that the weight is found under its name.
  std::string Name(int position);
  // Name of [batch].
  const std::string& Batch();
};

// One operator. Arguments go by their names in ATen's schema; if one depends on the size of the batch, or is not of the
// type asked for, that is a fault that the graph's status keeps.
class OpContext {
 public:
  OpContext(OnnxConversion* conversion, size_t op)
      : conversion_(*conversion), op_(conversion->recording->ops[op]), other_(conversion->other->ops[op]) {}

  const std::string& op() const { return op_.name; }
  GraphBuilder& graph() { return *conversion_.graph; }
  const std::string& Batch() { return conversion_.Batch(); }

  bool Given(absl::string_view argument) const;
  int64_t Integer(absl::string_view argument) const;
  double Number(absl::string_view argument) const;
  bool Flag(absl::string_view argument) const;
  std::string Text(absl::string_view argument) const;
  std::vector<int64_t> Integers(absl::string_view argument) const;
  // The same; a single number stands for `count` of them.
  std::vector<int64_t> Integers(absl::string_view argument, size_t count) const;

  // Name of a tensor; "" if none was given.
  std::string Input(absl::string_view argument);
  std::vector<std::string> Inputs(absl::string_view argument);
  // Name of a tensor, or of a number as a constant.
  std::string Operand(absl::string_view argument);

  std::vector<int64_t> InputShape(absl::string_view argument) const;
  size_t OutputCount() const { return op_.outputs.size(); }
  std::vector<int64_t> OutputShape(size_t i = 0) const;
  // `dimension`, which may count from the end, of a tensor.
  int64_t Axis(absl::string_view argument, int64_t dimension) const;

  void SetOutput(size_t i, const std::string& name);
  // The operator is one node, or the last of several.
  absl::Status Become(const std::string& type, const std::vector<std::string>& inputs,
                      const OnnxAttributes& attributes = {});
  // Unimplemented, with the operator's name.
  absl::Status Refuse(absl::string_view why) const;

 private:
  const c10::IValue& Value(absl::string_view argument) const;

  OnnxConversion& conversion_;
  const RecordedOp& op_;
  const RecordedOp& other_;
};

// How an operator of ATen is written in ONNX. One in place is converted as the one that is not.
struct OpConverter {
  absl::string_view op;
  absl::Status (*convert)(OpContext& op);
};

}  // namespace retort::nn
