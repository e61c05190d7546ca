// A distillation token's logits against the teacher's.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With d the logits of the student's distillation token:
//
//   hard   mean_b -log softmax(d_b)[argmax teacher_b]
//   soft   (T^2 / (B K)) sum_b KL( softmax(teacher_b / T) || softmax(d_b / T) )
//
// A row of the teacher's that holds NaN makes the loss NaN. To be summed with cross_entropy, each with weight 0.5.
// Source: Touvron et al., arXiv 2012.12877; facebookresearch/deit, losses.py, which divides by all elements of the
// batch.
//
// Reads student.distillation_logits and the teacher's logits, both [B,K]. InvalidArgument if the student has no
// distillation token or the shapes differ; Prepare takes an example without, as a student gives that is not in training
// mode.
std::unique_ptr<Term> MakeDistillationToken(const config::DistillationToken& config);

}  // namespace retort::kd
