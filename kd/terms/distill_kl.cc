#include "retort/kd/terms/distill_kl.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/softmax.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class DistillKl final : public Term {
 public:
  explicit DistillKl(const config::DistillKl& config) : temperature_(config.temperature()), form_(config.form()) {}

  const char* name() const override { return "distill"; }

  Needs needs() const override {
    Needs needs;
    needs.teacher = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    const at::Tensor& student = step.student.logits;
    const at::Tensor& teacher = step.teacher.logits;
    if (!teacher.defined() || student.dim() != 2 || student.sizes() != teacher.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat("distill: logits of the student ", ShapeText(student),
                                                     " and of the teacher ", ShapeText(teacher),
                                                     " must both be [B,K]; do they know the same classes?"));
    }
    switch (form_) {
      case config::DistillKl::KL:
        return ops::torch::DistillKl(student, teacher, temperature_);
      case config::DistillKl::SOFT_CROSS_ENTROPY: {
        const double scale = temperature_ * temperature_ / static_cast<double>(student.size(0));
        const at::Tensor log_q = at::log_softmax(student / temperature_, 1);
        const at::Tensor p = at::softmax(teacher / temperature_, 1);
        return (p * log_q).sum() * -scale;
      }
    }
    return absl::InternalError("distill: a form that the schema does not know");
  }

 private:
  const double temperature_;
  const config::DistillKl::Form form_;
};

}  // namespace

std::unique_ptr<Term> MakeDistillKl(const config::DistillKl& config) { return std::make_unique<DistillKl>(config); }

}  // namespace retort::kd
