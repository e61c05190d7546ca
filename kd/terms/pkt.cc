#include "retort/kd/terms/pkt.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/mm.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/embeddings.h"

namespace retort::kd {
namespace {

constexpr double kEpsilon = 1e-7;

// [B,D] -> [B,B], rows sum to 1.
at::Tensor Neighbours(const at::Tensor& e) {
  const at::Tensor direction = e / (at::linalg_vector_norm(e, 2, at::IntArrayRef(1), /*keepdim=*/true) + kEpsilon);
  const at::Tensor similarity = (at::mm(direction, direction.t()) + 1) / 2;
  return similarity / similarity.sum(1, /*keepdim=*/true);
}

class Pkt final : public Term {
 public:
  const char* name() const override { return "pkt"; }

  Needs needs() const override { return EmbeddingNeeds(); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
    const at::Tensor s = Neighbours(step.student.embedding), t = Neighbours(step.teacher.embedding);
    return (t * ((t + kEpsilon) / (s + kEpsilon)).log()).mean();
  }
};

}  // namespace

std::unique_ptr<Term> MakePkt(const config::Pkt&) { return std::make_unique<Pkt>(); }

}  // namespace retort::kd
