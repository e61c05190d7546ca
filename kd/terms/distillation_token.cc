#include "retort/kd/terms/distillation_token.h"

#include "ATen/TensorOperators.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class DistillationToken final : public Term {
 public:
  explicit DistillationToken(const config::DistillationToken& config) : config_(config) {}

  const char* name() const override { return "distillation_token"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::Status Prepare(const Step& example, int64_t samples) override {
    // A student that is not being trained has no such logits.
    return example.student.distillation_logits.defined() ? Term::Prepare(example, samples) : absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    const at::Tensor& student = step.student.distillation_logits;
    const at::Tensor& teacher = step.teacher.logits;
    if (!student.defined() || !teacher.defined() || student.dim() != 2 || student.sizes() != teacher.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "distillation_token: logits of the student's distillation token ", ShapeText(student), " and of the teacher ",
          ShapeText(teacher), " must both be [B,K]; choose a student with a distillation token"));
    }
    if (config_.has_hard()) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor loss, ops::torch::CrossEntropy(student, teacher.argmax(1), 0));
      // A teacher that says NaN has no most probable class.
      return loss + (teacher.amax(1) * 0).mean();
    }
    RETORT_ASSIGN_OR_RETURN(const at::Tensor kl, ops::torch::DistillKl(student, teacher, config_.soft().temperature()));
    return kl / static_cast<double>(student.size(1));
  }

 private:
  const config::DistillationToken config_;
};

}  // namespace

std::unique_ptr<Term> MakeDistillationToken(const config::DistillationToken& config) {
  return std::make_unique<DistillationToken>(config);
}

}  // namespace retort::kd
