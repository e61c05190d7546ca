// Cross-entropy with the labels.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// loss = mean_b [ -(1 - s) log p_b[label_b] - (s / K) sum_c log p_b[c] ], p = softmax(student logits), s =
// label_smoothing.
//
// Reads student.logits [B,K] and labels i64 [B], each in [0,K). InvalidArgument if B differs.
std::unique_ptr<Term> MakeCrossEntropy(const config::CrossEntropy& config);

}  // namespace retort::kd
