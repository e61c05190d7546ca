// Logits at several temperatures, and how images and classes resemble each other.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// With P = softmax(teacher / T), Q = softmax(student / T), both [B,K], summed over the temperatures T:
//
//   instance_weight (T^2 / B) sum_b KL(P_b || Q_b)
//   + batch_weight (1 / B) || P P' - Q Q' ||_F^2 + class_weight (1 / K) || P' P - Q' Q ||_F^2
//
// Source: Jin, Wang & Lin, "Multi-Level Logit Distillation", CVPR 2023, as the paper has it; its code (Jin-Ying/
// Multi-Level-Logit-Distillation) multiplies averages by masks that so have no effect on what is learned from which
// image, and mixes weak and strong views. T^2 is the code's. For two views fold both into the batch.
//
// Reads both sides' logits [B,K]. InvalidArgument if their shapes differ.
std::unique_ptr<Term> MakeMultiLevel(const config::MultiLevel& config);

}  // namespace retort::kd
