#include "retort/kd/terms/rkd.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/eye.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/smooth_l1_loss.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/embeddings.h"

namespace retort::kd {
namespace {

// [B,D] -> [B,B]
at::Tensor Distances(const at::Tensor& e) {
  const at::Tensor squares = e.square().sum(1);
  const at::Tensor squared = squares.unsqueeze(0) + squares.unsqueeze(1) - at::mm(e, e.t()) * 2;
  const at::Tensor distances = squared.clamp_min(1e-12).sqrt() * (1 - at::eye(e.size(0), e.options()));
  const at::Tensor mean = distances.sum() / (distances > 0).sum().clamp_min(1);
  return distances / mean.clamp_min(1e-12);
}

// [B,D] -> [B,B,B]
at::Tensor Angles(const at::Tensor& e) {
  const at::Tensor difference = e.unsqueeze(0) - e.unsqueeze(1);
  const at::Tensor length = at::linalg_vector_norm(difference, 2, at::IntArrayRef(2), /*keepdim=*/true);
  const at::Tensor direction = difference / length.clamp_min(1e-12);
  return at::bmm(direction, direction.transpose(1, 2));
}

class Rkd final : public Term {
 public:
  explicit Rkd(const config::Rkd& config) : config_(config) {}

  const char* name() const override { return "rkd"; }

  Needs needs() const override { return EmbeddingNeeds(); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
    const at::Tensor& student = step.student.embedding;
    const at::Tensor& teacher = step.teacher.embedding;
    at::Tensor total = (student * 0).sum();
    if (config_.distance_weight() > 0) {
      total = total + at::smooth_l1_loss(Distances(student), Distances(teacher)) * config_.distance_weight();
    }
    if (config_.angle_weight() > 0) {
      total = total + at::smooth_l1_loss(Angles(student), Angles(teacher)) * config_.angle_weight();
    }
    return total;
  }

 private:
  const config::Rkd config_;
};

}  // namespace

std::unique_ptr<Term> MakeRkd(const config::Rkd& config) { return std::make_unique<Rkd>(config); }

}  // namespace retort::kd
