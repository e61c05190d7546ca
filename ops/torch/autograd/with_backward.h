// A value that was computed outside of autograd, made differentiable.
#pragma once

#include <functional>

#include "ATen/core/Tensor.h"

namespace retort::ops::torch {

struct Backward {
  // From the gradient by the value to the gradient by the input. Not itself differentiable.
  std::function<at::Tensor(const at::Tensor& value_gradient)> fused;
  // The value once more, from the input with plain ATen operators: taken instead where the backward pass is to be
  // differentiated in turn (create_graph).
  std::function<at::Tensor(const at::Tensor& input)> plain;
};

// `value`, computed without autograd, as a function of `input`. If no gradient is asked for it is returned as it is.
at::Tensor WithBackward(const at::Tensor& input, const at::Tensor& value, Backward backward);

}  // namespace retort::ops::torch
