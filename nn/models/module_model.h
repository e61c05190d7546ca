// A Model whose tensors live in a torch::nn module graph. Costly to include: for the families' .cc files alone.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "torch/nn/module.h"

#include "retort/nn/model.h"

namespace retort::nn {

// Names and order of parameters and buffers are the graph's, that is, those of PyTorch's state_dict.
class ModuleModel : public Model {
 public:
  std::vector<NamedTensor> Parameters() const override;
  std::vector<NamedTensor> Buffers() const override;
  void SetTraining(bool training) override;

 protected:
  ModuleModel() : root_(std::make_shared<torch::nn::Module>()) {}

  // Families add their layers to it in PyTorch's order.
  torch::nn::Module& root() { return *root_; }
  bool training() const { return root_->is_training(); }

 private:
  std::shared_ptr<torch::nn::Module> root_;
};

// What one forward pass keeps for its caller.
class TapKeeper {
 public:
  TapKeeper(const Request& request, Outputs* outputs) : request_(request), outputs_(*outputs) {}

  bool Wants(const std::string& name) const;

  // Keeps `x` under `name` if it was asked for. It must not be changed in place afterwards.
  void Keep(const std::string& name, const at::Tensor& x);

  // ReLU(x), in place where nobody sees it. Keeps x as "<name>.preact" and ReLU(x) as `name`.
  at::Tensor Relu(const std::string& name, at::Tensor x);

 private:
  const Request& request_;
  Outputs& outputs_;
};

// {"a", "b"} -> {"a.preact", "a", "b.preact", "b"}: the taps of TapKeeper::Relu.
std::vector<std::string> WithPreactivations(const std::vector<std::string>& names);

}  // namespace retort::nn
