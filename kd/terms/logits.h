// Logits that a term reads.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/kd/term.h"

namespace retort::kd {

// InvalidArgument, in the name of `term`, unless both sides' logits are [B,K] of one shape.
absl::Status CheckLogits(const Step& step, absl::string_view term);

// InvalidArgument unless the student's logits are [B,K] and the labels i64 [B]; OutOfRange unless labels are in [0,K).
absl::Status CheckLabels(const Step& step, absl::string_view term);

// [B,K] -> [B,K]: each row (z - mean) / (1e-7 + s), s its standard deviation, of which the square is divided by K - 1.
// A row of equal numbers becomes 0, one that holds an infinity NaN. K >= 2. Source:
// sunshangquan/logit-standardization-KD, mdistiller/distillers/KD.py.
at::Tensor Standardized(const at::Tensor& logits);

// InvalidArgument unless K >= 2.
absl::Status CheckStandardizable(const at::Tensor& logits, absl::string_view term);

}  // namespace retort::kd
