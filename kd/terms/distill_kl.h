// Distillation of logits at a temperature.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With p = softmax(teacher / T), q = softmax(student / T):
//
//   KL                   loss = (T^2 / B) sum_b sum_c p log(p / q)
//   SOFT_CROSS_ENTROPY   loss = (T^2 / B) sum_b sum_c -p log q
//   ELEMENT_MEAN_KL      loss = (T^2 / (B K)) sum_b sum_c p log(p / q)
//
// The gradients of the first two are the same; T^2 keeps their size independent of T. Source: Hinton, Vinyals & Dean,
// arXiv 1503.02531, section 2; the second form is that of pytorch/tutorials,
// beginner_source/knowledge_distillation_tutorial.py.
//
// With `standardize`, each row of both logits is first (z - mean) / (1e-7 + standard deviation), K >= 2, so that the
// student need not learn their size; a row that holds -inf makes the loss NaN. Source: Sun et al., arXiv 2403.01427.
//
// Reads both sides' logits [B,K]. InvalidArgument if their shapes differ, or if K = 1 and they are to be
// standardised.
std::unique_ptr<Term> MakeDistillKl(const config::DistillKl& config);

}  // namespace retort::kd
