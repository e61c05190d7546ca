// A second set of a model's tensors: moving averages, or the best so far.
#pragma once

#include <vector>

#include "retort/nn/model.h"

namespace retort::nn {

// Parameters and buffers, at first the model's values.
//
// Moved after every step by 1 - decay, it is the exponential moving average of weights and running statistics, as
// timm's ModelEmaV2 (timm/utils/model_ema.py; Polyak & Juditsky 1992).
class ModelCopy {
 public:
  explicit ModelCopy(const Model& model);

  // copy += share * (value - copy), share 0..1; 1 copies. Tensors of integers, counts of batches, are copied always.
  void MoveTowardsModel(double share);

  // The model has the copies, and this its values; a second call undoes that.
  void Exchange();

  // Named after the model's tensors; share this one's storage.
  const std::vector<NamedTensor>& State() const { return copies_; }

 private:
  std::vector<at::Tensor> values_;  // the model's
  std::vector<NamedTensor> copies_;
};

}  // namespace retort::nn
