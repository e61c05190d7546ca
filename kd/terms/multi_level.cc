#include "retort/kd/terms/multi_level.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/softmax.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"
#include "retort/ops/torch/autograd/softmax_loss.h"

namespace retort::kd {
namespace {

class MultiLevel final : public Term {
 public:
  explicit MultiLevel(const config::MultiLevel& config) : config_(config) {}

  const char* name() const override { return "multi_level"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLogits(step, name()));
    const at::Tensor& student = step.student.logits;
    const at::Tensor& teacher = step.teacher.logits;
    at::Tensor total;
    for (const double t : config_.temperature()) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor kl, ops::torch::DistillKl(student, teacher, t));
      const at::Tensor q = at::softmax(student / t, 1), p = at::softmax(teacher / t, 1);
      const at::Tensor batch = (at::mm(p, p.t()) - at::mm(q, q.t())).square().sum();
      const at::Tensor classes = (at::mm(p.t(), p) - at::mm(q.t(), q)).square().sum();
      const at::Tensor level = kl * config_.instance_weight() +
                               batch * (config_.batch_weight() / static_cast<double>(student.size(0))) +
                               classes * (config_.class_weight() / static_cast<double>(student.size(1)));
      total = total.defined() ? total + level : level;
    }
    return total;
  }

 private:
  const config::MultiLevel config_;
};

}  // namespace

std::unique_ptr<Term> MakeMultiLevel(const config::MultiLevel& config) { return std::make_unique<MultiLevel>(config); }

}  // namespace retort::kd
