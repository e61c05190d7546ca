#include "retort/kd/terms/hint.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/mse_loss.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class Hint final : public ProjectingTerm {
 public:
  explicit Hint(const config::Hint& config) : ProjectingTerm(config.projection(), config.pair(), "hint") {}

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i < projections().size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, projections().Apply(step, i));
      const at::Tensor loss = at::mse_loss(maps.student, maps.teacher);
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }
};

}  // namespace

std::unique_ptr<Term> MakeHint(const config::Hint& config) { return std::make_unique<Hint>(config); }

}  // namespace retort::kd
