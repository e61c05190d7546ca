#include "retort/kd/terms/attention.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/adaptive_avg_pool2d.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/terms/shapes.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/torch/autograd/attention.h"

namespace retort::kd {
namespace {

// [B,C,H',W'] -> [B,C,H,W]
at::Tensor Pooled(const at::Tensor& features, int64_t height, int64_t width) {
  const bool pool = features.size(2) != height || features.size(3) != width;
  return pool ? at::adaptive_avg_pool2d(features, {height, width}) : features;
}

// True if `large` is nowhere smaller than `small`.
bool Covers(const at::Tensor& large, const at::Tensor& small) {
  return large.size(2) >= small.size(2) && large.size(3) >= small.size(3);
}

class Attention final : public Term {
 public:
  explicit Attention(const config::Attention& config) : config_(config) {}

  const char* name() const override { return "attention"; }

  Needs needs() const override {
    Needs needs;
    needs.teacher = true;
    for (const config::Attention::Pair& pair : config_.pair()) {
      Add(pair.student(), &needs.student.taps);
      Add(pair.teacher(), &needs.teacher_outputs.taps);
    }
    return needs;
  }

  absl::StatusOr<at::Tensor> Compute(const Step& step) const override {
    at::Tensor total;
    for (const config::Attention::Pair& pair : config_.pair()) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor loss,
                              ComputePair(pair, Tap(step.student, pair.student()), Tap(step.teacher, pair.teacher())));
      total = total.defined() ? total + loss : loss;
    }
    return total;
  }

 private:
  static void Add(const std::string& tap, std::vector<std::string>* taps) {
    if (std::find(taps->begin(), taps->end(), tap) == taps->end()) taps->push_back(tap);
  }

  static bool Normalizes(config::Attention::Form form) {
    switch (form) {
      case config::Attention::NORMALIZED_MEAN_SQUARE:
        return true;
      case config::Attention::MEAN_SQUARE:
        return false;
    }
    return true;
  }

  static at::Tensor Tap(const nn::Outputs& outputs, const std::string& name) {
    const auto tap = outputs.taps.find(name);
    return tap == outputs.taps.end() ? at::Tensor() : tap->second;
  }

  absl::StatusOr<at::Tensor> ComputePair(const config::Attention::Pair& pair, const at::Tensor& student,
                                         const at::Tensor& teacher) const {
    if (!student.defined() || !teacher.defined() || student.dim() != 4 || teacher.dim() != 4 ||
        student.size(0) != teacher.size(0) || !(Covers(student, teacher) || Covers(teacher, student))) {
      return absl::InvalidArgumentError(
          absl::StrCat("attention: student tap \"", pair.student(), "\" ", ShapeText(student), " and teacher tap \"",
                       pair.teacher(), "\" ", ShapeText(teacher),
                       " must be [B,C,H,W] with the same B, one at least as high and as wide as the other"));
    }
    const int64_t height = std::min(student.size(2), teacher.size(2));
    const int64_t width = std::min(student.size(3), teacher.size(3));
    const ops::ActivationMapParameters parameters = {ops::ActivationKind::kMeanSquare, Normalizes(config_.form())};
    RETORT_ASSIGN_OR_RETURN(const at::Tensor target,
                            ops::torch::ActivationMap(Pooled(teacher, height, width), parameters));
    return ops::torch::AttentionTransfer(Pooled(student, height, width), target, parameters);
  }

  const config::Attention config_;
};

}  // namespace

std::unique_ptr<Term> MakeAttention(const config::Attention& config) { return std::make_unique<Attention>(config); }

}  // namespace retort::kd
