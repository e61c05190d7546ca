#include "retort/kd/terms/crd.h"

#include <optional>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/full.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/where.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/contrast_memory.h"
#include "retort/kd/terms/embeddings.h"
#include "retort/kd/terms/layers.h"
#include "retort/kd/terms/shapes.h"

namespace retort::kd {
namespace {

class Crd final : public Term {
 public:
  explicit Crd(const config::Crd& config) : config_(config) {}

  const char* name() const override { return "crd"; }

  Needs needs() const override { return EmbeddingNeeds(); }

  absl::Status Prepare(const Step& example, int64_t samples) override {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(example, name()));
    if (samples < 2) return absl::InvalidArgumentError("crd: contrast needs two training images at least");
    samples_ = samples;
    parts_ = Parts(example.student.embedding.options());
    student_.emplace(example.student.embedding.size(1), config_.width(), "student", &parts_);
    teacher_.emplace(example.teacher.embedding.size(1), config_.width(), "teacher", &parts_);
    memory_.emplace(samples, config_.width(), config_.temperature(), config_.momentum(), &parts_);
    classes_ = parts_.Buffer("classes", at::full({samples}, -1.0));
    return Check(example);
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) override {
    RETORT_RETURN_IF_ERROR(Check(step));
    if (!memory_) return absl::FailedPreconditionError("crd: Compute before Prepare");
    const at::Tensor student = Direction((*student_)(step.student.embedding));
    const at::Tensor teacher = Direction((*teacher_)(step.teacher.embedding));
    const at::Tensor index = step.index.to(classes_.device());
    classes_.index_copy_(0, index, step.labels.to(classes_.device()).to(classes_.scalar_type()));
    at::Tensor negatives = step.negatives;
    if (!negatives.defined()) {
      RETORT_ASSIGN_OR_RETURN(negatives, Negatives(step.labels.cpu()));
    }
    const at::Tensor rows = at::cat({index.unsqueeze(1), negatives.to(index.device())}, 1);
    const at::Tensor loss = memory_->Loss(student, teacher, rows);
    memory_->Update(student, teacher, index);
    return loss;
  }

  std::vector<nn::NamedTensor> Parameters() const override { return parts_.parameters(); }
  std::vector<nn::NamedTensor> Buffers() const override { return parts_.buffers(); }

 private:
  absl::Status Check(const Step& step) const {
    RETORT_RETURN_IF_ERROR(CheckEmbeddings(step, name()));
    const int64_t batch = step.student.embedding.size(0);
    for (const at::Tensor& numbers : {step.labels, step.index}) {
      if (!numbers.defined() || numbers.dim() != 1 || numbers.size(0) != batch || numbers.scalar_type() != at::kLong) {
        return absl::InvalidArgumentError(absl::StrCat("crd: labels ", ShapeText(step.labels), " and index ",
                                                       ShapeText(step.index), " must be i64 [", batch, "]"));
      }
    }
    if (batch > 0 && (step.index.min().item<int64_t>() < 0 || step.index.max().item<int64_t>() >= samples_)) {
      return absl::OutOfRangeError(
          absl::StrCat("crd: an index beyond the ", samples_, " training images it was prepared for"));
    }
    const at::Tensor& negatives = step.negatives;
    if (!negatives.defined()) return absl::OkStatus();
    const bool shaped = negatives.dim() == 2 && negatives.size(0) == batch && negatives.size(1) == config_.negatives();
    if (!shaped || negatives.scalar_type() != at::kLong) {
      return absl::InvalidArgumentError(absl::StrCat("crd: negatives ", ShapeText(negatives), " must be i64 [", batch,
                                                     ",", config_.negatives(), "]"));
    }
    if (batch > 0 && (negatives.min().item<int64_t>() < 0 || negatives.max().item<int64_t>() >= samples_)) {
      return absl::OutOfRangeError(
          absl::StrCat("crd: a negative beyond the ", samples_, " training images it was prepared for"));
    }
    return absl::OkStatus();
  }

  static at::Tensor Direction(const at::Tensor& x) {
    return x / at::linalg_vector_norm(x, 2, at::IntArrayRef(1), /*keepdim=*/true).clamp_min(1e-12);
  }

  // labels on the host -> [B,K] there.
  absl::StatusOr<at::Tensor> Negatives(const at::Tensor& labels) const {
    // Of two equally likely classes every draw is right with probability 1/2.
    constexpr int kMostDraws = 1000;
    const at::Tensor classes = classes_.cpu().to(at::kLong);
    const int64_t negatives = config_.negatives();
    at::Tensor rows = at::randint(samples_, {labels.size(0), negatives}, at::kLong);
    for (int i = 0; i < kMostDraws; ++i) {
      const at::Tensor same = at::index_select(classes, 0, rows.flatten()).view_as(rows).eq(labels.unsqueeze(1));
      if (!same.any().item<bool>()) return rows;
      rows = at::where(same, at::randint(samples_, {labels.size(0), negatives}, at::kLong), rows);
    }
    return absl::FailedPreconditionError(
        "crd: among the training images there are none, or hardly any, of another class to contrast with");
  }

  const config::Crd config_;
  int64_t samples_ = 0;
  Parts parts_;
  std::optional<Linear> student_, teacher_;
  std::optional<ContrastMemory> memory_;
  at::Tensor classes_;  // [N], -1: not yet seen
};

}  // namespace

std::unique_ptr<Term> MakeCrd(const config::Crd& config) { return std::make_unique<Crd>(config); }

}  // namespace retort::kd
