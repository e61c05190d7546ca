// Mean square of maps at several sizes.
#pragma once

#include "ATen/core/Tensor.h"

namespace retort::kd {

// Of two maps [B,C,H,W]: what kd/terms/hierarchical_context.h sums over pairs.
at::Tensor HierarchicalContextLoss(const at::Tensor& student, const at::Tensor& teacher);

}  // namespace retort::kd
