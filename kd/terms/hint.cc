#include "retort/kd/terms/hint.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/mse_loss.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class Hint final : public Term {
 public:
  explicit Hint(const config::Hint& config)
      : config_(config), projections_(config.projection(), config.pair(), "hint") {}

  const char* name() const override { return "hint"; }

  Needs needs() const override {
    Needs needs;
    needs.teacher = true;
    AddTaps(config_.pair(), &needs);
    return needs;
  }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override { return projections_.Prepare(example); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i < projections_.size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, projections_.Apply(step, i));
      const at::Tensor loss = at::mse_loss(maps.student, maps.teacher);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return projections_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return projections_.buffers(); }

 private:
  const config::Hint config_;
  Projections projections_;
};

}  // namespace

std::unique_ptr<Term> MakeHint(const config::Hint& config) { return std::make_unique<Hint>(config); }

}  // namespace retort::kd
