// A value that was computed outside of autograd, made differentiable.
#pragma once

#include <functional>

#include "ATen/core/Tensor.h"
#include "absl/functional/function_ref.h"

namespace retort::ops::torch {

// What a backward pass finds.
struct BackwardPass {
  // The input, as it was: an error of autograd's if it has been written to since.
  absl::FunctionRef<at::Tensor()> input;
  // Whether nothing is kept for another pass (retain_graph).
  bool last;
};

struct Backward {
  // From the gradient by the value to the gradient by the input. Not itself differentiable.
  std::function<at::Tensor(const at::Tensor& value_gradient, const BackwardPass& pass)> fused;
  // The value once more, from the input with plain ATen operators: taken instead where the backward pass is to be
  // differentiated in turn (create_graph).
  std::function<at::Tensor(const at::Tensor& input)> plain;
};

// `gradient` of a scalar, times the gradient by that scalar; within `gradient` itself in the last pass.
at::Tensor Scaled(at::Tensor gradient, const at::Tensor& by_scalar, const BackwardPass& pass);

// `value`, computed without autograd, as a function of `input`. If no gradient is asked for it is returned as it is.
at::Tensor WithBackward(const at::Tensor& input, const at::Tensor& value, Backward backward);

}  // namespace retort::ops::torch
