// How images of a batch are correlated.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Neighbours: with D = |l_s(e_s) - l_t(e_t)| [B,W], l learnable linear layers to `width` on both sides (the identity
// for width 0, which takes embeddings of one width):
//
//   loss = mean over b < B - 1 of sum_d D[b,d] D[b+1,d]; 0 of a single image
//
// Kernel: with x the embeddings divided by max(length, 1e-12), C[i,j] = exp(-2 g) sum_{p=0..P} (2 g)^p / p!
// (x_i.x_j)^p, the series of exp(-g ||x_i - x_j||^2) up to the power P = order:
//
//   loss = || C_s - C_t ||_F / B^2; widths may differ
//
// Source: Peng et al., arXiv 1904.01802 (the kernel; g = 0.4, P = 2); HobbitLong/RepDistiller, distiller_zoo/CC.py
// (neighbours, weight 0.02). yoshitomo-matsubara/torchdistill takes x as it is, so that C is no longer that series.
//
// Reads both sides' embedding [B,D]. InvalidArgument if B differs, or D without layers.
std::unique_ptr<Term> MakeCorrelationCongruence(const config::CorrelationCongruence& config);

}  // namespace retort::kd
