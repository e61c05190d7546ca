#include "retort/kd/terms/cross_entropy.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

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
    return ops::torch::CrossEntropy(logits, step.labels, label_smoothing_);
  }

 private:
  const double label_smoothing_;
};

}  // namespace

std::unique_ptr<Term> MakeCrossEntropy(const config::CrossEntropy& config) {
  return std::make_unique<CrossEntropy>(config);
}

}  // namespace retort::kd
