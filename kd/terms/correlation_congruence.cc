#include "retort/kd/terms/correlation_congruence.h"

#include <cmath>
#include <optional>

#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/mm.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/embeddings.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/shapes.h"

namespace retort::kd {
namespace {

class CorrelationCongruence final : public Term {
 public:
  explicit CorrelationCongruence(const config::CorrelationCongruence& config) : config_(config) {}

  const char* name() const override { return "correlation_congruence"; }

  Needs needs() const override { return EmbeddingNeeds(); }

  absl::Status Prepare(const Step& example, int64_t /*samples*/) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(example, name()));
    const int64_t width = config_.neighbours().width();
    if (config_.has_kernel() || width == 0) return Compute(example).status();
    parts_ = Parts(example.student.embedding.options());
    student_.emplace(example.student.embedding.size(1), width, "student", &parts_);
    teacher_.emplace(example.teacher.embedding.size(1), width, "teacher", &parts_);
    return absl::OkStatus();
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
    return config_.has_kernel() ? CompareKernels(step) : CompareNeighbours(step);
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }

 private:
  absl::StatusOr<at::Tensor> CompareNeighbours(const Step& step) const {
    at::Tensor student = step.student.embedding, teacher = step.teacher.embedding;
    if (student_) {
      student = (*student_)(student);
      teacher = (*teacher_)(teacher);
    }
    if (student.size(1) != teacher.size(1)) {
      return absl::InvalidArgumentError(absl::StrCat("correlation_congruence: embeddings of the student ",
                                                     ShapeText(student), " and of the teacher ", ShapeText(teacher),
                                                     " must be of one width; set width above 0"));
    }
    const int64_t batch = student.size(0);
    if (batch < 2) return (student * 0).sum();
    const at::Tensor difference = (student - teacher).abs();
    return (difference.slice(0, 0, batch - 1) * difference.slice(0, 1, batch)).sum(1).mean();
  }

  at::Tensor CompareKernels(const Step& step) const {
    const at::Tensor difference = Kernel(step.student.embedding) - Kernel(step.teacher.embedding);
    const double batch = static_cast<double>(difference.size(0));
    return at::linalg_vector_norm(difference) / (batch * batch);
  }

  // [B,D] -> [B,B]
  at::Tensor Kernel(const at::Tensor& e) const {
    const at::Tensor x = e / at::linalg_vector_norm(e, 2, at::IntArrayRef(1), /*keepdim=*/true).clamp_min(1e-12);
    const at::Tensor product = at::mm(x, x.t()) * (2 * config_.kernel().gamma());
    // Horner's scheme: 1 + y (1 + y / 2 (1 + y / 3 ...)).
    at::Tensor sum = product / config_.kernel().order() + 1;
    for (int p = config_.kernel().order() - 1; p > 0; --p) sum = sum * product / p + 1;
    return sum * std::exp(-2 * config_.kernel().gamma());
  }

  const config::CorrelationCongruence config_;
  Parts parts_;
  std::optional<Linear> student_, teacher_;
};

}  // namespace

std::unique_ptr<Term> MakeCorrelationCongruence(const config::CorrelationCongruence& config) {
  return std::make_unique<CorrelationCongruence>(config);
}

}  // namespace retort::kd
