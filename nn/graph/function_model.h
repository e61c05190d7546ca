// A model of a few operators, for tests of what reads a forward pass.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"

#include "retort/nn/model.h"

namespace retort::nn {

// logits = forward(images, parameters).
class FunctionModel final : public Model {
 public:
  using Function = std::function<at::Tensor(const at::Tensor&, const std::vector<at::Tensor>&)>;

  FunctionModel(std::vector<NamedTensor> parameters, Function forward)
      : parameters_(std::move(parameters)), forward_(std::move(forward)) {}

  Outputs Forward(const at::Tensor& images, const Request& /*request*/) override {
    std::vector<at::Tensor> tensors;
    for (const auto& [name, tensor] : parameters_) tensors.push_back(tensor);
    Outputs outputs;
    outputs.logits = forward_(images, tensors);
    return outputs;
  }
  std::vector<std::string> TapNames() const override { return {}; }
  std::vector<NamedTensor> Parameters() const override { return parameters_; }
  std::vector<NamedTensor> Buffers() const override { return {}; }
  void SetTraining(bool /*training*/) override {}

 private:
  std::vector<NamedTensor> parameters_;
  Function forward_;
};

}  // namespace retort::nn
