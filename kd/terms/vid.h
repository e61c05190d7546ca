// What the student's features tell of the teacher's.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// For each pair of maps (the larger average-pooled to the smaller size), a Gaussian of the teacher's features t
// [B,C,H,W] with mean mu = r(s) and one variance a channel, v = softplus(rho) + 1e-5, rho learnable:
//
//   loss = mean over all elements of ((mu - t)^2 / v + log v) / 2, summed over pairs
//
// r: three 1x1 convolutions without bias to the teacher's channels, ReLU between them; or, with NONE, the features as
// they are. Parameters "0.rho", "0.first.weight", "0.second.weight", "0.third.weight" after the pair's position.
// Source: Ahn et al., arXiv 1904.05835; HobbitLong/RepDistiller, distiller_zoo/VID.py, weight 1.
//
// InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeVid(const config::Vid& config);

}  // namespace retort::kd
