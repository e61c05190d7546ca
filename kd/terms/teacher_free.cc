#include "retort/kd/terms/teacher_free.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/full_like.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class TeacherFree final : public Term {
 public:
  explicit TeacherFree(const config::TeacherFree& config) : config_(config) {}

  const char* name() const override { return "teacher_free"; }

  Needs needs() const override { return {}; }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    const at::Tensor& logits = step.student.logits;
    if (logits.size(1) < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("teacher_free: logits ", ShapeText(logits), " must be of 2 classes or more"));
    }
    const double a = config_.label_probability(), classes = static_cast<double>(logits.size(1));
    at::Tensor teacher = at::full_like(logits.detach(), (1 - a) / (classes - 1));
    teacher.scatter_(1, step.labels.unsqueeze(1), a);
    if (!config_.as_published()) {
      // Of a probability of 0 a finite logit, whose product with it is 0.
      return ops::torch::DistillKl(logits, teacher.log().clamp_min(-1e30), config_.temperature());
    }
    RETORT_ASSIGN_OR_RETURN(const at::Tensor kl, ops::torch::DistillKl(logits, teacher / config_.temperature(), 1));
    return kl / classes;
  }

 private:
  const config::TeacherFree config_;
};

}  // namespace

std::unique_ptr<Term> MakeTeacherFree(const config::TeacherFree& config) {
  return std::make_unique<TeacherFree>(config);
}

}  // namespace retort::kd
