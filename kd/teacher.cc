#include "retort/kd/teacher.h"

#include <string>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::kd {

LiveTeacher::LiveTeacher(std::unique_ptr<nn::Model> model) : model_(std::move(model)) {
  model_->SetTraining(false);
  for (const auto& [name, parameter] : model_->Parameters()) parameter.set_requires_grad(false);
}

absl::Status LiveTeacher::Check(const nn::Request& request) const {
  return nn::CheckRequest(*model_, request, "teacher");
}

absl::StatusOr<nn::Outputs> LiveTeacher::Look(const data::Batch& batch, const nn::Request& request) {
  const at::NoGradGuard no_grad;
  return model_->Forward(batch.images.flatten(0, 1), request);
}

absl::Status CachedTeacher::Check(const nn::Request& request) const {
  if (!request.taps.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a target cache holds no taps, and the objective reads the teacher's ",
                     absl::StrJoin(request.taps, ", "), "; run the teacher itself (teacher: instead of targets:)"));
  }
  if (request.embedding && !cache_.has_embedding()) {
    return absl::InvalidArgumentError(
        "the objective reads the teacher's embedding, and the target cache holds logits alone; "
        "make it with embedding: true");
  }
  return absl::OkStatus();
}

absl::StatusOr<nn::Outputs> CachedTeacher::Look(const data::Batch& batch, const nn::Request& request) {
  return cache_.Gather(batch.view, batch.index, request.embedding);
}

}  // namespace retort::kd
