// Mean square of features.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Summed over pairs: mean over all elements of (r(x_s) - x_t)^2, x a tap [B,C,H,W], [B,D] or [B,T,D] and r the
// projection of kd/terms/projection.h, where it also says what is pooled; without one the shapes must agree.
//
// Source: Romero et al., arXiv 1412.6550, where it is half the sum over elements and a stage of its own; as one of
// several terms: HobbitLong/RepDistiller, distiller_zoo/FitNet.py, weight 100 with r = CONV_TO_SIZE, batch norm and
// ReLU. With CONV_3X3 it is the regressor of pytorch/tutorials, knowledge_distillation_tutorial.py.
//
// InvalidArgument names the pair and its shapes.
std::unique_ptr<Term> MakeHint(const config::Hint& config);

}  // namespace retort::kd
