#include "retort/kd/terms/distill_kl.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/softmax.h"
#include "absl/status/status.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class DistillKl final : public Term {
 public:
  explicit DistillKl(const config::DistillKl& config) : config_(config) {}

  const char* name() const override { return "distill"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLogits(step, name()));
    if (!config_.standardize()) return Compare(step.student.logits, step.teacher.logits);
    RETORT_RETURN_IF_ERROR(CheckStandardizable(step.student.logits, name()));
    return Compare(Standardized(step.student.logits), Standardized(step.teacher.logits));
  }

 private:
  absl::StatusOr<at::Tensor> Compare(const at::Tensor& student, const at::Tensor& teacher) const {
    const double temperature = config_.temperature();
    switch (config_.form()) {
      case config::DistillKl::KL:
        return ops::torch::DistillKl(student, teacher, temperature);
      case config::DistillKl::SOFT_CROSS_ENTROPY: {
        const double scale = temperature * temperature / static_cast<double>(student.size(0));
        const at::Tensor log_q = at::log_softmax(student / temperature, 1);
        const at::Tensor p = at::softmax(teacher / temperature, 1);
        return (p * log_q.masked_fill(p == 0, 0)).sum() * -scale;
      }
      case config::DistillKl::ELEMENT_MEAN_KL: {
        RETORT_ASSIGN_OR_RETURN(const at::Tensor kl, ops::torch::DistillKl(student, teacher, temperature));
        return kl / static_cast<double>(student.size(1));
      }
    }
    return absl::InternalError("distill: a form that the schema does not know");
  }

  const config::DistillKl config_;
};

}  // namespace

std::unique_ptr<Term> MakeDistillKl(const config::DistillKl& config) { return std::make_unique<DistillKl>(config); }

}  // namespace retort::kd
