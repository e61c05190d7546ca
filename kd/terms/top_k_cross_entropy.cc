#include "retort/kd/terms/top_k_cross_entropy.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
#include "ATen/ops/zeros_like.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class TopKCrossEntropy final : public Term {
 public:
  explicit TopKCrossEntropy(const config::TopKCrossEntropy& config) : config_(config) {}

  const char* name() const override { return "top_k_cross_entropy"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLogits(step, name()));
    const at::Tensor& student = step.student.logits;
    const int64_t classes = student.size(1), k = config_.k();
    if (k > classes) {
      return absl::InvalidArgumentError(absl::StrCat("top_k_cross_entropy: k = ", k, " is more than the classes of ",
                                                     ShapeText(student), "; lower k"));
    }
    const at::Tensor p = at::softmax(step.teacher.logits, 1);
    const auto [greatest, index] = at::topk(p, k, 1);
    const at::Tensor sum = greatest.sum(1, /*keepdim=*/true);
    const bool uniform = config_.tail() == config::TopKCrossEntropy::UNIFORM;
    at::Tensor target = at::zeros_like(p);
    if (uniform && k < classes) target = target + (1 - sum).clamp_min(0) / static_cast<double>(classes - k);
    target = target.scatter(1, index, uniform ? greatest : greatest / sum);
    return ops::torch::SoftCrossEntropy(student, target);
  }

 private:
  const config::TopKCrossEntropy config_;
};

}  // namespace

std::unique_ptr<Term> MakeTopKCrossEntropy(const config::TopKCrossEntropy& config) {
  return std::make_unique<TopKCrossEntropy>(config);
}

}  // namespace retort::kd
