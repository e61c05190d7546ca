#include "retort/kd/terms/cosine_embedding.h"

#include <algorithm>

#include "ATen/TensorOperators.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/embeddings.h"
#include "retort/kd/terms/shapes.h"

namespace retort::kd {
namespace {

constexpr double kEpsilon = 1e-12;

// [B,D] -> [B,width], each the mean of D / width neighbours.
at::Tensor AverageTo(const at::Tensor& vectors, int64_t width) {
  if (vectors.size(1) == width) return vectors;
  return vectors.unflatten(1, {width, vectors.size(1) / width}).mean(2);
}

class CosineEmbedding final : public Term {
 public:
  const char* name() const override { return "cosine_embedding"; }

  Needs needs() const override { return EmbeddingNeeds(); }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
    const at::Tensor& student = step.student.embedding;
    const at::Tensor& teacher = step.teacher.embedding;
    if (std::max(student.size(1), teacher.size(1)) % std::min(student.size(1), teacher.size(1)) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("cosine_embedding: of the embeddings of the student ",
                                                     ShapeText(student), " and of the teacher ", ShapeText(teacher),
                                                     " one width must be a multiple of the other"));
    }
    const int64_t width = std::min(student.size(1), teacher.size(1));
    const at::Tensor x = AverageTo(student, width);
    const at::Tensor y = AverageTo(teacher, width);
    const at::Tensor squares = ((x * x).sum(1) + kEpsilon) * ((y * y).sum(1) + kEpsilon);
    return 1 - ((x * y).sum(1) * squares.rsqrt()).mean();
  }
};

}  // namespace

std::unique_ptr<Term> MakeCosineEmbedding(const config::CosineEmbedding&) {
  return std::make_unique<CosineEmbedding>();
}

}  // namespace retort::kd
