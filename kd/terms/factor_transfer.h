// Factors of features.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Summed over pairs: mean over b and the factor's elements of |q_s - q_t|, q_b = F_b / max(||F_b||_2, 1e-12), and
//
//   MEAN_SQUARE   F[b,h,w] = mean_c r(x)[b,c,h,w]^2
//   FLATTENED     F[b] = all elements of r(x)[b]
//
// r, of the student alone, is the projection (kd/terms/projection.h): the paper's translator. For MEAN_SQUARE channels
// may differ without one. The paper's paraphraser, an autoencoder of the teacher's features that is trained before, is
// not part of it: the teacher's features stand for its factors.
//
// Source: Kim et al., arXiv 1802.04977; HobbitLong/RepDistiller, distiller_zoo/FT.py (MEAN_SQUARE, weight 200);
// yoshitomo-matsubara/torchdistill (FLATTENED). Taps [B,C,H,W]; InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeFactorTransfer(const config::FactorTransfer& config);

}  // namespace retort::kd
