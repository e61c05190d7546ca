// Flow from one stage to the next.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Of each net's maps x [B,C,H,W] of one pair and y [B,C',H',W'] of the next, the larger average-pooled (adaptively) to
// the smaller size: G[b,c,c'] = (1 / HW) sum_hw x[b,c,h,w] y[b,c',h,w]. Summed over pairs of neighbours: mean over
// (b,c,c') of (G_s - G_t)^2. Student and teacher may differ in size, not in channels.
//
// Source: Yim et al., CVPR 2017; HobbitLong/RepDistiller, distiller_zoo/FSP.py, weight 50, in a first stage of its own.
//
// InvalidArgument names the pair whose B or channels differ, or the neighbours of which neither map is the larger one
// in both height and width.
std::unique_ptr<Term> MakeFsp(const config::Fsp& config);

}  // namespace retort::kd
