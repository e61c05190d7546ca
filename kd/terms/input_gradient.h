// The cross-entropy's gradient by the images.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With J_b = d CE_b / d x_b [C,H,W], the gradient of image b's cross-entropy by itself:
//
//   SQUARED    mean_b ||J_s - J_t||_2^2 / 2
//   DISTANCE   mean_b ||J_s - J_t||_2 / 2
//
// J_s is differentiated once more; batch statistics in the student (batch norm) let other images into J_s. Source:
// Zagoruyko & Komodakis, arXiv 1612.03928, section 3.2, for which there is no code.
//
// Reads the images, student.logits [B,K] differentiable by them, labels i64 [B] and the teacher's gradient by images.
// InvalidArgument if shapes differ or the logits do not depend on the images; OutOfRange for a label beyond K.
std::unique_ptr<Term> MakeInputGradient(const config::InputGradient& config);

}  // namespace retort::kd
