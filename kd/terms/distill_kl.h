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
//
// The gradients are the same; T^2 keeps their size independent of T. Source: Hinton, Vinyals & Dean, arXiv 1503.02531,
// section 2; the second form is that of pytorch/tutorials, beginner_source/knowledge_distillation_tutorial.py.
//
// Reads both sides' logits [B,K]. InvalidArgument if their shapes differ.
std::unique_ptr<Term> MakeDistillKl(const config::DistillKl& config);

}  // namespace retort::kd
