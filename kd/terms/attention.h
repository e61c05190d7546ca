// Attention transfer of squared activations.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// For each pair of taps, student [B,C_s,H_s,W_s] and teacher [B,C_t,H_t,W_t], the larger one is average-pooled
// (adaptively) to the smaller size H,W; its attention map is Q[b,h,w] = mean_c x[b,c,h,w]^2. Summed over pairs:
//
//   NORMALIZED_MEAN_SQUARE: mean over (b,h,w) of (q_s - q_t)^2, q_b = Q_b / max(||Q_b||_2, 1e-12) over an image's
//   places MEAN_SQUARE:            mean over (b,h,w) of (Q_s - Q_t)^2
//
// Source: Zagoruyko & Komodakis, arXiv 1612.03928; the first form is that of szagoruyko/attention-transfer, utils.py,
// with the pooling of HobbitLong/RepDistiller, distiller_zoo/AT.py.
//
// InvalidArgument names the pair whose B differs, or of which neither map is the larger one in both height and width.
std::unique_ptr<Term> MakeAttention(const config::Attention& config);

}  // namespace retort::kd
