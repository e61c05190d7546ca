// On which side of zero activations are.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With s = r(x_s) of the student, t of the teacher, both before their ReLU, m = margin, L pairs counted from 1:
//
//   loss = (3 / 1000) / B sum_l 2^(l - L) sum over elements of
//          (s + m)^2 where s > -m and t <= 0, (s - m)^2 where s <= m and t > 0, else 0; NaN where t is NaN
//
// r is the projection (kd/terms/projection.h), a convolution with batch norm in the paper. To be used alone in a first
// stage. Source: Heo et al., arXiv 1811.03233; HobbitLong/RepDistiller, distiller_zoo/AB.py, whose 3 / 1000 it is.
//
// InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeActivationBoundary(const config::ActivationBoundary& config);

}  // namespace retort::kd
