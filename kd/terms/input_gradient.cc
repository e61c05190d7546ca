#include "retort/kd/terms/input_gradient.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class InputGradient final : public Term {
 public:
  explicit InputGradient(const config::InputGradient& config) : config_(config) {}

  const char* name() const override { return "input_gradient"; }

  Needs needs() const override {
    Needs needs;
    needs.student_image_gradient = true;
    needs.targets.gradients.images = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    const at::Tensor& teacher = step.teacher.gradients.images;
    if (!step.images.defined() || !teacher.defined() || step.images.dim() < 2 ||
        step.images.sizes() != teacher.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input_gradient: images ", ShapeText(step.images), " and the teacher's gradient ", ShapeText(teacher),
          " must both be [B,C,H,W] of one size; give the student views of the teacher's"));
    }
    RETORT_ASSIGN_OR_RETURN(const at::Tensor mean, ops::torch::CrossEntropy(step.student.logits, step.labels, 0));
    at::Tensor student;
    if (step.images.requires_grad() && mean.requires_grad()) {
      student = torch::autograd::grad({mean * step.labels.size(0)}, {step.images}, /*grad_outputs=*/{},
                                      /*retain_graph=*/true, /*create_graph=*/true, /*allow_unused=*/true)[0];
    }
    if (!student.defined()) {
      return absl::InvalidArgumentError("input_gradient: the student's logits do not depend on the images");
    }
    const at::Tensor difference = (student - teacher).flatten(1);
    return config_.form() == config::InputGradient::SQUARED
               ? difference.square().sum(1).mean() / 2
               : at::linalg_vector_norm(difference, 2, at::IntArrayRef(1)).mean() / 2;
  }

 private:
  const config::InputGradient config_;
};

}  // namespace

std::unique_ptr<Term> MakeInputGradient(const config::InputGradient& config) {
  return std::make_unique<InputGradient>(config);
}

}  // namespace retort::kd
