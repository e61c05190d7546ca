// A made-up teacher that knows the labels.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// The made-up teacher gives the label the probability a = label_probability and each other class (1 - a) / (K - 1):
// p, with p_T ~ p^(1/T), normalised, and q_T = softmax(student / T):
//
//   loss = (T^2 / B) sum_b KL( p_T || q_T )
//   as_published: (1 / (B K)) sum_b KL( softmax(p / T) || q_1 )
//
// Source: Yuan et al., arXiv 1909.11723, section 4.2; as published: yuanli2333/Teacher-free-Knowledge-Distillation,
// my_loss_function.py, which takes probabilities for logits, so that with its T = 20 the target is nearly uniform
// whatever a is.
//
// Reads student.logits [B,K], K >= 2, and labels i64 [B]. InvalidArgument if B differs, OutOfRange for a label beyond
// K.
std::unique_ptr<Term> MakeTeacherFree(const config::TeacherFree& config);

}  // namespace retort::kd
