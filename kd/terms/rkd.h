// Distances and angles among embeddings.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Of each side's embeddings e [B,D]: d[i,j] = ||e_i - e_j|| divided by the mean of those above 0, and
// a[i,j,k] = cos(e_j - e_i, e_k - e_i), 0 where two of them are the same. With the smooth L1 function h (x^2 / 2 where
// |x| < 1, else |x| - 1/2):
//
//   loss = distance_weight mean_ij h(d_s - d_t) + angle_weight mean_ijk h(a_s - a_t)
//
// Widths may differ. Memory: B^2 (B + D) numbers for angles. Of a single image the loss is 0. Source: Park et al.,
// arXiv 1904.05068; HobbitLong/RepDistiller, distiller_zoo/RKD.py.
//
// Reads both sides' embedding. InvalidArgument if B differs.
std::unique_ptr<Term> MakeRkd(const config::Rkd& config);

}  // namespace retort::kd
