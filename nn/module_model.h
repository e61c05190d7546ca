// A Model whose tensors live in a torch::nn module graph. Costly to include: for the families' .cc files alone.
#pragma once

#include <memory>
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
  explicit ModuleModel(std::shared_ptr<torch::nn::Module> root) : root_(std::move(root)) {}

  bool training() const { return root_->is_training(); }

 private:
  std::shared_ptr<torch::nn::Module> root_;
};

}  // namespace retort::nn
