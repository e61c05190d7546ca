#include "retort/kd/terms/nst.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/linalg_vector_norm.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

// [B,C,H,W] -> [B,C,HW], each of length 1.
at::Tensor Channels(const at::Tensor& maps) {
  const at::Tensor channels = maps.flatten(2);
  return channels / at::linalg_vector_norm(channels, 2, at::IntArrayRef(2), /*keepdim=*/true).clamp_min(1e-12);
}

at::Tensor MeanKernel(const at::Tensor& a, const at::Tensor& b) {
  return at::bmm(a, b.transpose(1, 2)).square().mean();
}

class Nst final : public Term {
 public:
  explicit Nst(const config::Nst& config) : config_(config) {}

  const char* name() const override { return "nst"; }

  Needs needs() const override { return TapNeeds(config_.pair()); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, PooledMaps(step, pair, name()));
      const at::Tensor s = Channels(maps.student), t = Channels(maps.teacher);
      const at::Tensor loss = MeanKernel(t, t) + MeanKernel(s, s) - MeanKernel(s, t) * 2;
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  const config::Nst config_;
};

}  // namespace

std::unique_ptr<Term> MakeNst(const config::Nst& config) { return std::make_unique<Nst>(config); }

}  // namespace retort::kd
