// What channels select alike.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Maps [B,C,H,W], the larger average-pooled (adaptively) to the smaller size; a[b,c] = the channel's places, divided by
// their length; k(a, a') = (a.a')^2. Summed over pairs:
//
//   loss = mean k(a_t, a_t) + mean k(a_s, a_s) - 2 mean k(a_s, a_t), means over b and both channels
//
// the squared maximum mean discrepancy of channels under the polynomial kernel. The first mean is a constant. Source:
// Huang & Wang, arXiv 1707.01219; HobbitLong/RepDistiller, distiller_zoo/NST.py, weight 50.
//
// InvalidArgument names the pair whose B differs, or of which neither map is the larger one in both height and width.
std::unique_ptr<Term> MakeNst(const config::Nst& config);

}  // namespace retort::kd
