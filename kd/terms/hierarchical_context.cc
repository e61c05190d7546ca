#include "retort/kd/terms/hierarchical_context.h"

#include "ATen/TensorOperators.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/hierarchical_loss.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class HierarchicalContext final : public Term {
 public:
  explicit HierarchicalContext(const config::HierarchicalContext& config)
      : config_(config), projections_(config.projection(), config.pair(), "hierarchical_context") {}

  const char* name() const override { return "hierarchical_context"; }

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
      RETORT_RETURN_IF_ERROR(Maps(step, config_.pair(i), name()).status());
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, projections_.Apply(step, i));
      const at::Tensor loss = HierarchicalContextLoss(maps.student, maps.teacher);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return projections_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return projections_.buffers(); }

 private:
  const config::HierarchicalContext config_;
  Projections projections_;
};

}  // namespace

std::unique_ptr<Term> MakeHierarchicalContext(const config::HierarchicalContext& config) {
  return std::make_unique<HierarchicalContext>(config);
}

}  // namespace retort::kd
