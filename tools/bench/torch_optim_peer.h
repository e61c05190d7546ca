// The optimisers of LibTorch's C++ interface, as peers of ours.
#pragma once

#include <functional>
#include <vector>

#include "ATen/core/Tensor.h"

namespace retort::bench {

// One step of torch::optim over `parameters`, which have gradients. SGD: learning rate 0.001, momentum 0.9; AdamW:
// learning rate 0.001, weight decay 0.01.
std::function<void()> TorchSgd(const std::vector<at::Tensor>& parameters);
std::function<void()> TorchAdamW(const std::vector<at::Tensor>& parameters);

}  // namespace retort::bench
