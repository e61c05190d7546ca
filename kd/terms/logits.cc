#include "retort/kd/terms/logits.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/std.h"
#include "absl/strings/str_cat.h"

#include "retort/kd/terms/shapes.h"

namespace retort::kd {

absl::Status CheckLogits(const Step& step, absl::string_view term) {
  const at::Tensor& student = step.student.logits;
  const at::Tensor& teacher = step.teacher.logits;
  if (student.defined() && teacher.defined() && student.dim() == 2 && student.sizes() == teacher.sizes()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(term, ": logits of the student ", ShapeText(student),
                                                 " and of the teacher ", ShapeText(teacher),
                                                 " must both be [B,K]; do they know the same classes?"));
}

absl::Status CheckLabels(const Step& step, absl::string_view term) {
  const at::Tensor& logits = step.student.logits;
  const at::Tensor& labels = step.labels;
  if (!logits.defined() || !labels.defined() || logits.dim() != 2 || labels.dim() != 1 ||
      labels.scalar_type() != at::kLong || logits.size(0) != labels.size(0)) {
    return absl::InvalidArgumentError(absl::StrCat(term, ": logits ", ShapeText(logits), " and labels ",
                                                   ShapeText(labels), " must be [B,K] and i64 [B]"));
  }
  if (labels.numel() == 0) return absl::OkStatus();
  const auto lowest = labels.min().item<int64_t>(), highest = labels.max().item<int64_t>();
  if (lowest >= 0 && highest < logits.size(1)) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(term, ": label ", lowest < 0 ? lowest : highest, " is not in [0,",
                                            logits.size(1), "); do student and data set know the same classes?"));
}

absl::Status CheckStandardizable(const at::Tensor& logits, absl::string_view term) {
  if (logits.size(1) >= 2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(term, ": logits ", ShapeText(logits), " of one class have no spread; set standardize: false"));
}

at::Tensor Standardized(const at::Tensor& logits) {
  const at::Tensor deviation = at::std(logits, at::OptionalIntArrayRef(1), /*unbiased=*/true, /*keepdim=*/true);
  return (logits - logits.mean(1, /*keepdim=*/true)) / (deviation + 1e-7);
}

}  // namespace retort::kd
