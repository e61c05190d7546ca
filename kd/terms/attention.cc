#include "retort/kd/terms/attention.h"

#include "ATen/TensorOperators.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/tap_pairs.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/torch/autograd/attention.h"

namespace retort::kd {
namespace {

class Attention final : public Term {
 public:
  explicit Attention(const config::Attention& config) : config_(config) {}

  const char* name() const override { return "attention"; }

  Needs needs() const override {
    Needs needs;
    needs.teacher = true;
    AddTaps(config_.pair(), &needs);
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(step, pair, name()));
      RETORT_ASSIGN_OR_RETURN(const at::Tensor loss, Compare(maps));
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  static bool Normalizes(config::Attention::Form form) {
    switch (form) {
      case config::Attention::NORMALIZED_MEAN_SQUARE:
        return true;
      case config::Attention::MEAN_SQUARE:
        return false;
    }
    return true;
  }

  absl::StatusOr<at::Tensor> Compare(const FeatureMaps& maps) const {
    const ops::ActivationMapParameters parameters = {ops::ActivationKind::kMeanSquare, Normalizes(config_.form())};
    RETORT_ASSIGN_OR_RETURN(const at::Tensor target, ops::torch::ActivationMap(maps.teacher, parameters));
    return ops::torch::AttentionTransfer(maps.student, target, parameters);
  }

  const config::Attention config_;
};

}  // namespace

std::unique_ptr<Term> MakeAttention(const config::Attention& config) { return std::make_unique<Attention>(config); }

}  // namespace retort::kd
