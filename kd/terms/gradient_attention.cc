#include "retort/kd/terms/gradient_attention.h"

#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/mse_loss.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/tap_pairs.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class GradientAttention final : public Term {
 public:
  explicit GradientAttention(const config::GradientAttention& config) : config_(config) {}

  const char* name() const override { return "gradient_attention"; }

  Needs needs() const override {
    Needs needs = TapNeeds(config_.pair());
    std::swap(needs.targets.gradients.maps, needs.targets.taps);
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    RETORT_ASSIGN_OR_RETURN(const at::Tensor loss, ops::torch::CrossEntropy(step.student.logits, step.labels, 0));
    at::Tensor total;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor gradient, StudentGradient(step, pair, loss));
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps,
                              PooledPlaces(gradient.abs().mean(1), step.teacher.gradients.maps, pair, name()));
      // The student's is by the mean over the batch, the teacher's by the sum.
      const at::Tensor value = at::mse_loss(maps.student, maps.teacher / static_cast<double>(step.labels.size(0)));
      total = total.defined() ? total + value : value;
    }
    return total;
  }

 private:
  absl::StatusOr<at::Tensor> StudentGradient(const Step& step, const config::TapPair& pair, const at::Tensor& loss) {
    RETORT_ASSIGN_OR_RETURN(const at::Tensor features, StudentMap(step, pair, name()));
    if (features.requires_grad() && loss.requires_grad()) {
      const at::Tensor gradient = torch::autograd::grad({loss}, {features}, /*grad_outputs=*/{}, /*retain_graph=*/true,
                                                        config_.second_order(), /*allow_unused=*/true)[0];
      if (gradient.defined()) return gradient;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("gradient_attention: the student's logits do not depend on its tap \"", pair.student(),
                     "\"; choose a tap between images and logits"));
  }

  const config::GradientAttention config_;
};

}  // namespace

std::unique_ptr<Term> MakeGradientAttention(const config::GradientAttention& config) {
  return std::make_unique<GradientAttention>(config);
}

}  // namespace retort::kd
