// Mean square of features at several sizes.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Summed over pairs of maps [B,C,H,W], s = r(x_s) the projected one (kd/terms/projection.h):
//
//   [ MSE(s, t) + sum_k 2^-k MSE(pool_k(s), pool_k(t)) ] / (1 + sum_k 2^-k), k = 1, 2, ...,
//
// pool_k the adaptive average to 4x4, 2x2 and 1x1, of which those not smaller than H are left out. Source: Chen et al.,
// arXiv 2104.09044; dvlab-research/ReviewKD, CIFAR-100/model/reviewkd.py.
//
// InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeHierarchicalContext(const config::HierarchicalContext& config);

}  // namespace retort::kd
