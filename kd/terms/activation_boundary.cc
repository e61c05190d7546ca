#include "retort/kd/terms/activation_boundary.h"

#include <cmath>

#include "ATen/TensorOperators.h"
#include "ATen/ops/where.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class ActivationBoundary final : public ProjectingTerm {
 public:
  explicit ActivationBoundary(const config::ActivationBoundary& config)
      : ProjectingTerm(config.projection(), config.pair(), "activation_boundary"), config_(config) {}

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    double weight = 0.003 / std::exp2(projections().size() - 1);
    for (int i = 0; i < projections().size(); ++i, weight *= 2) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, projections().Apply(step, i));
      const at::Tensor& s = maps.student;
      const double m = config_.margin();
      const at::Tensor& t = maps.teacher;
      // How far beyond the margin, on the wrong side, 0 on the right one.
      const at::Tensor wrong =
          at::where(t > 0, (m - s).clamp_min(0), at::where(t <= 0, (s + m).clamp_min(0), std::nan("")));
      const at::Tensor loss = wrong.square().sum() * (weight / static_cast<double>(s.size(0)));
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  const config::ActivationBoundary config_;
};

}  // namespace

std::unique_ptr<Term> MakeActivationBoundary(const config::ActivationBoundary& config) {
  return std::make_unique<ActivationBoundary>(config);
}

}  // namespace retort::kd
