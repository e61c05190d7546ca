#include "retort/nn/optim/model_copy.h"

#include "ATen/core/grad_mode.h"

namespace retort::nn {

ModelCopy::ModelCopy(const Model& model) {
  for (const auto& tensors : {model.Parameters(), model.Buffers()}) {
    for (const auto& [name, value] : tensors) {
      values_.push_back(value.detach());
      copies_.emplace_back(name, value.detach().clone());
    }
  }
}

void ModelCopy::MoveTowardsModel(double share) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < values_.size(); ++i) {
    at::Tensor& copy = copies_[i].second;
    if (share == 1 || !copy.is_floating_point()) {
      copy.copy_(values_[i]);
    } else {
      copy.lerp_(values_[i], share);
    }
  }
}

void ModelCopy::Exchange() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < values_.size(); ++i) {
    const at::Tensor value = values_[i].clone();
    values_[i].copy_(copies_[i].second);
    copies_[i].second.copy_(value);
  }
}

}  // namespace retort::nn
