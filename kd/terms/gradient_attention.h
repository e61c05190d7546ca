// Attention maps of the cross-entropy's gradient by features.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With J = d CE / d F by a tap F [B,C,H,W], CE the mean over the batch, the map is A[b,h,w] = mean_c |J[b,c,h,w]|;
// where sizes differ the larger map is average-pooled (adaptively) to the smaller size. Summed over pairs:
//
//   loss = mean over (b,h,w) of (A_s - A_t)^2
//
// A_s is differentiated once more; with second_order: false it is not, and the term has no gradient. Maps are small
// (J of one image has a factor 1 / B): expect weights far above 1. Source: CharvakaSynapse/Knowledge-Distillation,
// knowledge_distillation_CNN.ipynb.
//
// Reads student.logits [B,K] and the taps they are made of, labels i64 [B], and the teacher's gradient maps.
// InvalidArgument if shapes differ, or if the student's logits are not made of the tap; OutOfRange for a label beyond
// K.
std::unique_ptr<Term> MakeGradientAttention(const config::GradientAttention& config);

}  // namespace retort::kd
