#include "retort/kd/terms/cross_entropy.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class CrossEntropy final : public Term {
 public:
  explicit CrossEntropy(const config::CrossEntropy& config) : label_smoothing_(config.label_smoothing()) {}

  const char* name() const override { return "cross_entropy"; }
  Needs needs() const override { return {}; }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    const at::Tensor& logits = step.student.logits;
    if (logits.dim() != 2 || step.labels.dim() != 1 || logits.size(0) != step.labels.size(0)) {
      return absl::InvalidArgumentError(absl::StrCat("cross_entropy: logits ", ShapeText(logits), " and labels ",
                                                     ShapeText(step.labels), " must be [B,K] and [B]"));
    }
    if (!step.lambda.defined()) return ops::torch::CrossEntropy(logits, step.labels, label_smoothing_);
    Step partner;
    partner.student.logits = logits;
    partner.labels = step.partner_labels;
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    RETORT_RETURN_IF_ERROR(CheckLabels(partner, name()));
    if (step.lambda.dim() != 1 || step.lambda.size(0) != logits.size(0)) {
      return absl::InvalidArgumentError(absl::StrCat("cross_entropy: logits ", ShapeText(logits), " and lambda ",
                                                     ShapeText(step.lambda), " must be [B,K] and [B]"));
    }
    const at::Tensor share = step.lambda.to(logits.scalar_type()).unsqueeze(1);
    const double evenly = label_smoothing_ / static_cast<double>(logits.size(1));
    const at::Tensor targets = at::full(logits.sizes(), evenly, logits.options());
    targets.scatter_add_(1, step.labels.unsqueeze(1), share * (1 - label_smoothing_));
    targets.scatter_add_(1, step.partner_labels.unsqueeze(1), (1 - share) * (1 - label_smoothing_));
    return ops::torch::SoftCrossEntropy(logits, targets);
  }

 private:
  const double label_smoothing_;
};

}  // namespace

std::unique_ptr<Term> MakeCrossEntropy(const config::CrossEntropy& config) {
  return std::make_unique<CrossEntropy>(config);
}

}  // namespace retort::kd
