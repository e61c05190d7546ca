// Which images are likely neighbours.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Of each side's embeddings e [B,D], divided by length + 1e-7: S = (1 + e e') / 2 [B,B], rows divided by their sum.
//
//   loss = mean over B^2 of S_t log( (S_t + 1e-7) / (S_s + 1e-7) )
//
// Widths may differ. Source: Passalis & Tefas, arXiv 1803.10837; HobbitLong/RepDistiller, distiller_zoo/PKT.py, weight
// 30000.
//
// Reads both sides' embedding. InvalidArgument if B differs.
std::unique_ptr<Term> MakePkt(const config::Pkt& config);

}  // namespace retort::kd
