// The optimisers of LibTorch's C++ interface, as peers of ours.
#pragma once

#include <functional>
#include <vector>

#include "ATen/core/Tensor.h"

namespace retort::bench {

// One step of torch::optim over `parameters`, which have gradients. SGD: learning rate 0.001, momentum 0.9; Adam:
// learning rate 0.001.
std::function<void()> TorchSgd(const std::vector<at::Tensor>& parameters);
std::function<void()> TorchAdam(const std::vector<at::Tensor>& parameters);

}  // namespace retort::bench
