// Which images resemble each other.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Of each side's tap [B,...], flattened to F [B,D], G = F F' [B,B] with rows divided by max(length, 1e-12). Summed over
// pairs: || G_t - G_s ||_F^2 / B^2. Source: Tung & Mori, arXiv 1907.09682; HobbitLong/RepDistiller,
// distiller_zoo/SP.py, weight 3000. (yoshitomo-matsubara/torchdistill divides rows by the sum of absolute values, about
// a fifth.)
//
// InvalidArgument names the pair whose B differs.
std::unique_ptr<Term> MakeSimilarityPreserving(const config::SimilarityPreserving& config);

}  // namespace retort::kd
