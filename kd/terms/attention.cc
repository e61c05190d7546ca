#include "retort/kd/terms/attention.h"

#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/tap_pairs.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/torch/autograd/attention.h"

namespace retort::kd {
namespace {

// Maps [B,H,W], each divided by its length.
at::Tensor Normalized(const at::Tensor& map) {
  return map / at::linalg_vector_norm(map, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true).clamp_min(1e-12);
}

at::Tensor MeanDistance(const at::Tensor& student, const at::Tensor& teacher) {
  return at::linalg_vector_norm(student - teacher, 2, at::IntArrayRef{1, 2}).mean();
}

class Attention final : public Term {
 public:
  explicit Attention(const config::Attention& config) : config_(config) {}

  const char* name() const override { return "attention"; }

  Needs needs() const override {
    Needs needs = TapNeeds(config_.pair());
    if (config_.pooling() == config::Attention::MAP) std::swap(needs.targets.maps, needs.targets.taps);
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor loss, ComparePair(step, pair));
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  absl::StatusOr<at::Tensor> ComparePair(const Step& step, const config::TapPair& pair) const {
    const ops::ActivationMapParameters parameters = {ops::ActivationKind::kMeanSquare,
                                                     config_.form() != config::Attention::MEAN_SQUARE};
    if (config_.pooling() == config::Attention::FEATURES) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(step, pair, name()));
      RETORT_ASSIGN_OR_RETURN(const at::Tensor target, ops::torch::ActivationMap(maps.teacher, parameters));
      if (config_.form() != config::Attention::NORMALIZED_DISTANCE) {
        return ops::torch::AttentionTransfer(maps.student, target, parameters);
      }
      RETORT_ASSIGN_OR_RETURN(const at::Tensor map, ops::torch::ActivationMap(maps.student, parameters));
      return MeanDistance(map, target);
    }
    RETORT_ASSIGN_OR_RETURN(const at::Tensor features, StudentMap(step, pair, name()));
    if (config_.form() == config::Attention::NORMALIZED_DISTANCE) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor student,
                              ops::torch::ActivationMap(features, {parameters.kind, /*normalize=*/false}));
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledPlaces(student, step.teacher.maps, pair, name()));
      return MeanDistance(Normalized(maps.student), Normalized(maps.teacher));
    }
    // The fused op pools the student's map by itself; any channel has its sizes.
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps,
                            PooledPlaces(features.select(1, 0), step.teacher.maps, pair, name()));
    return ops::torch::AttentionTransfer(features, parameters.normalize ? Normalized(maps.teacher) : maps.teacher,
                                         parameters, ops::torch::Pooling::kMap);
  }

  const config::Attention config_;
};

}  // namespace

std::unique_ptr<Term> MakeAttention(const config::Attention& config) { return std::make_unique<Attention>(config); }

}  // namespace retort::kd
