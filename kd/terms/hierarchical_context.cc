#include "retort/kd/terms/hierarchical_context.h"

#include "ATen/TensorOperators.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/hierarchical_loss.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class HierarchicalContext final : public ProjectingTerm {
 public:
  explicit HierarchicalContext(const config::HierarchicalContext& config)
      : ProjectingTerm(config.projection(), config.pair(), "hierarchical_context") {}

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i < projections().size(); ++i) {
      RETORT_RETURN_IF_ERROR(Maps(step, projections().pairs()[i], name()).status());
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, projections().Apply(step, i));
      const at::Tensor loss = HierarchicalContextLoss(maps.student, maps.teacher);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }
};

}  // namespace

std::unique_ptr<Term> MakeHierarchicalContext(const config::HierarchicalContext& config) {
  return std::make_unique<HierarchicalContext>(config);
}

}  // namespace retort::kd
