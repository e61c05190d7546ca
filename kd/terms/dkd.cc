#include "retort/kd/terms/dkd.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class Dkd final : public Term {
 public:
  explicit Dkd(const config::Dkd& config) : config_(config) {}

  const char* name() const override { return "dkd"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLogits(step, name()));
    RETORT_RETURN_IF_ERROR(CheckLabels(step, name()));
    at::Tensor student = step.student.logits, teacher = step.teacher.logits;
    if (student.size(1) < 3) {
      return absl::InvalidArgumentError(
          absl::StrCat("dkd: logits ", ShapeText(student), " must be of 3 classes or more; choose distill for fewer"));
    }
    if (config_.standardize()) {
      student = Standardized(student);
      teacher = Standardized(teacher);
    }
    RETORT_ASSIGN_OR_RETURN(const ops::torch::TwoPartLoss loss,
                            ops::torch::Dkd(student, teacher, step.labels, config_.temperature(),
                                            config_.target_weight(), config_.non_target_weight()));
    return loss.total;
  }

 private:
  const config::Dkd config_;
};

}  // namespace

std::unique_ptr<Term> MakeDkd(const config::Dkd& config) { return std::make_unique<Dkd>(config); }

}  // namespace retort::kd
