#include "retort/kd/terms/dist.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/softmax.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/logits.h"

namespace retort::kd {
namespace {

// Of vectors along `dim`.
at::Tensor Correlation(const at::Tensor& x, const at::Tensor& y, int64_t dim) {
  const at::Tensor a = x - x.mean(dim, /*keepdim=*/true), b = y - y.mean(dim, /*keepdim=*/true);
  const auto length = [dim](const at::Tensor& v) { return at::linalg_vector_norm(v, 2, at::IntArrayRef(dim)); };
  return (a * b).sum(dim) / (length(a) * length(b) + 1e-8);
}

class Dist final : public Term {
 public:
  explicit Dist(const config::Dist& config) : config_(config) {}

  const char* name() const override { return "dist"; }

  Needs needs() const override {
    Needs needs;
    needs.targets.logits = true;
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckLogits(step, name()));
    const double t = config_.temperature();
    const at::Tensor q = at::softmax(step.student.logits / t, 1);
    const at::Tensor p = at::softmax(step.teacher.logits / t, 1);
    const at::Tensor inter = 1 - Correlation(q, p, 1).mean(), intra = 1 - Correlation(q, p, 0).mean();
    return (inter * config_.inter_weight() + intra * config_.intra_weight()) * (t * t);
  }

 private:
  const config::Dist config_;
};

}  // namespace

std::unique_ptr<Term> MakeDist(const config::Dist& config) { return std::make_unique<Dist>(config); }

}  // namespace retort::kd
