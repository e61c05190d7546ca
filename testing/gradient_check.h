// Central differences, the oracle of every gradient.
#pragma once

#include <functional>

#include "ATen/core/Tensor.h"

namespace retort::testing {

// Compares the gradient of the scalar function `f` at `x` (f64, any shape) with (f(x + h e_i) - f(x - h e_i)) / 2h, h =
// 1e-5. Returns the largest difference over all elements i, as a share of the largest element of the gradient. About
// 1e-8 for a right gradient of a smooth function of values near 1; expect less than 1e-6.
double GradientError(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x);

}  // namespace retort::testing
