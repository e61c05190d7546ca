#include "retort/kd/terms/factor_transfer.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/projection.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

class FactorTransfer final : public ProjectingTerm {
 public:
  explicit FactorTransfer(const config::FactorTransfer& config)
      : ProjectingTerm(config.projection(), config.pair(), "factor_transfer"), config_(config) {}

  absl::Status Prepare(const Step& example, int64_t samples) override {
    return ChannelsMayDiffer() ? Compute(example).status() : ProjectingTerm::Prepare(example, samples);
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (int i = 0; i < config_.pair_size(); ++i) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, BothMaps(step, i));
      const at::Tensor loss = (Factor(maps.student) - Factor(maps.teacher)).abs().mean();
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  bool ChannelsMayDiffer() const {
    return config_.factor() == config::FactorTransfer::MEAN_SQUARE &&
           config_.projection().kind() == config::Projection::NONE;
  }

  absl::StatusOr<FeatureMaps> BothMaps(const Step& step, int i) const {
    RETORT_RETURN_IF_ERROR(Maps(step, config_.pair(i), name()).status());
    return ChannelsMayDiffer() ? PooledMaps(step, config_.pair(i), name()) : projections().Apply(step, i);
  }

  // [B,C,H,W] -> [B,F]
  at::Tensor Factor(const at::Tensor& x) const {
    const at::Tensor factor =
        config_.factor() == config::FactorTransfer::MEAN_SQUARE ? x.square().mean(1).flatten(1) : x.flatten(1);
    return factor / at::linalg_vector_norm(factor, 2, at::IntArrayRef(1), /*keepdim=*/true).clamp_min(1e-12);
  }

  const config::FactorTransfer config_;
};

}  // namespace

std::unique_ptr<Term> MakeFactorTransfer(const config::FactorTransfer& config) {
  return std::make_unique<FactorTransfer>(config);
}

}  // namespace retort::kd
