// Cross-entropy with the labels.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// loss = mean_b [ -(1 - s) log p_b[label_b] - (s / K) sum_c log p_b[c] ], p = softmax(student logits), s =
// label_smoothing.
//
// Of images that are mixed (Step::lambda), the target is lambda_b of label_b and 1 - lambda_b of partner_label_b, so
// that the loss is lambda_b times that of one and 1 - lambda_b times that of the other (arXiv 1710.09412, section 2).
//
// Reads student.logits [B,K], labels i64 [B], each in [0,K), and lambda [B] and partner_labels i64 [B], where defined.
// InvalidArgument if B differs.
std::unique_ptr<Term> MakeCrossEntropy(const config::CrossEntropy& config);

}  // namespace retort::kd
