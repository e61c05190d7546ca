// Attention transfer of squared activations.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// For each pair of taps, student [B,C_s,H_s,W_s] and teacher [B,C_t,H_t,W_t], the attention map is
// Q[b,h,w] = mean_c x[b,c,h,w]^2, and normalised q_b = Q_b / max(||Q_b||_2, 1e-12), the length over an image's places.
// Where sizes differ the larger is average-pooled (adaptively) to the smaller size H,W: the features x, or, with
// pooling MAP, Q. Summed over pairs:
//
//   NORMALIZED_MEAN_SQUARE   mean over (b,h,w) of (q_s - q_t)^2
//   MEAN_SQUARE              mean over (b,h,w) of (Q_s - Q_t)^2
//   NORMALIZED_DISTANCE      mean over b of ||q_s - q_t||_2
//
// Source: Zagoruyko & Komodakis, arXiv 1612.03928; the first form is that of szagoruyko/attention-transfer, utils.py,
// with the pooling of HobbitLong/RepDistiller, distiller_zoo/AT.py, the third is the paper's, which takes half of it.
// MEAN_SQUARE with MAP is that of CharvakaSynapse/Knowledge-Distillation, knowledge_distillation_CNN.ipynb.
//
// InvalidArgument names the pair whose B differs, or of which neither map is the larger one in both height and width.
std::unique_ptr<Term> MakeAttention(const config::Attention& config);

}  // namespace retort::kd
