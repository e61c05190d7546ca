// Shapes in error messages.
#pragma once

#include <string>

#include "ATen/core/Tensor.h"

namespace retort::kd {

// "[128,10]"; "nothing" for a tensor that was not given.
std::string ShapeText(const at::Tensor& tensor);

}  // namespace retort::kd
