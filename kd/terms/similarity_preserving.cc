#include "retort/kd/terms/similarity_preserving.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/mm.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/tap_pairs.h"

namespace retort::kd {
namespace {

// [B,...] -> [B,B]
at::Tensor Similarity(const at::Tensor& features) {
  const at::Tensor flat = features.flatten(1);
  const at::Tensor gram = at::mm(flat, flat.t());
  return gram / at::linalg_vector_norm(gram, 2, at::IntArrayRef(1), /*keepdim=*/true).clamp_min(1e-12);
}

class SimilarityPreserving final : public Term {
 public:
  explicit SimilarityPreserving(const config::SimilarityPreserving& config) : config_(config) {}

  const char* name() const override { return "similarity_preserving"; }

  Needs needs() const override { return TapNeeds(config_.pair()); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    at::Tensor total;
    for (const config::TapPair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Features(step, pair, name()));
      const at::Tensor loss = (Similarity(maps.teacher) - Similarity(maps.student)).square().mean();
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  const config::SimilarityPreserving config_;
};

}  // namespace

std::unique_ptr<Term> MakeSimilarityPreserving(const config::SimilarityPreserving& config) {
  return std::make_unique<SimilarityPreserving>(config);
}

}  // namespace retort::kd
