// Decoupled distillation of logits.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With p = softmax(teacher / T), q = softmax(student / T), y the label and p^, q^ the same without y, normalised:
//
//   loss = target_weight TCKD + non_target_weight NCKD
//   TCKD = (T^2 / B) sum_b KL( (p_y, 1 - p_y) || (q_y, 1 - q_y) )
//   NCKD = (T^2 / B) sum_b KL( p^ || q^ )
//
// With `standardize` both logits are first standardised as in kd/terms/distill_kl.h. Source: Zhao et al.,
// arXiv 2203.08679; megvii-research/mdistiller, mdistiller/distillers/DKD.py, where weights ramp up over 20 epochs.
//
// Reads both sides' logits [B,K] and labels i64 [B]. InvalidArgument if shapes differ, and for fewer than three
// classes: with two there is no knowledge among the others. OutOfRange for a label beyond K.
std::unique_ptr<Term> MakeDkd(const config::Dkd& config);

}  // namespace retort::kd
