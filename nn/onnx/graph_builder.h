// Nodes and constants of an ONNX graph, under names of their own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "onnx/onnx.pb.h"

namespace retort::nn {

// A node's constant argument. Floats are f32, as the format has them.
using OnnxAttribute = std::variant<int64_t, float, std::vector<int64_t>, std::string>;
using OnnxAttributes = std::vector<std::pair<std::string, OnnxAttribute>>;

class GraphBuilder {
 public:
  // `graph` must outlive it.
  explicit GraphBuilder(onnx::GraphProto* graph) : graph_(graph) {}

  // Nodes from here on are named "<scope>/<type>_<number>": the layer they come from.
  void SetScope(std::string scope) { scope_ = std::move(scope); }

  // Adds a node and returns the names of its outputs. An input "" is an optional one that is left out.
  std::vector<std::string> Nodes(const std::string& type, const std::vector<std::string>& inputs,
                                 const OnnxAttributes& attributes, int outputs);
  // The same of one output.
  std::string Node(const std::string& type, const std::vector<std::string>& inputs,
                   const OnnxAttributes& attributes = {});

  // Adds a constant and returns its name, which is `name`; an empty one is replaced. f32, or a scalar f64 as f32, or
  // i64; of another type it is a fault that status() keeps.
  std::string Tensor(const std::string& name, const at::Tensor& tensor);
  // The same of few numbers; equal ones are added once.
  std::string Number(float value);
  std::string Integers(const std::vector<int64_t>& values);  // [N]
  std::string Integer(int64_t value);                        // a scalar

  // The first fault.
  const absl::Status& status() const { return status_; }
  void Fail(absl::Status status);

 private:
  std::string NewName(const std::string& what);

  onnx::GraphProto* graph_;
  std::string scope_;
  int next_ = 0;
  std::map<float, std::string> numbers_;
  std::map<std::vector<int64_t>, std::string> integers_;
  std::map<int64_t, std::string> scalars_;
  absl::Status status_;
};

}  // namespace retort::nn
