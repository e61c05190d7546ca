#include "retort/kd/teacher.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Reduction.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/data/io/status_macros.h"

namespace retort::kd {

LiveTeacher::LiveTeacher(std::unique_ptr<nn::Model> model, std::unique_ptr<const data::Batcher> own)
    : model_(std::move(model)), own_(std::move(own)) {
  model_->SetTraining(false);
  for (const auto& [name, parameter] : model_->Parameters()) parameter.set_requires_grad(false);
}

absl::Status LiveTeacher::Check(const TargetRequest& request) const {
  RETORT_RETURN_IF_ERROR(nn::CheckRequest(*model_, request, "teacher"));
  nn::Request inner;
  inner.taps = request.gradients.taps;
  return nn::CheckRequest(*model_, inner, "teacher");
}

absl::StatusOr<Targets> LiveTeacher::Look(const data::Batch& batch, const TargetRequest& request) {
  at::Tensor images = batch.images.flatten(0, 1);
  if (own_ != nullptr) {
    const auto values = [](const at::Tensor& tensor) {
      return absl::MakeConstSpan(tensor.const_data_ptr<int64_t>(), static_cast<size_t>(tensor.numel()));
    };
    RETORT_ASSIGN_OR_RETURN(const data::Batch own, own_->Assemble(values(batch.index), values(batch.view)));
    images = own.images.flatten(0, 1);
  }
  if (!request.gradients.images && request.gradients.taps.empty()) {
    const at::NoGradGuard no_grad;
    return Targets{model_->Forward(images, request), {}};
  }
  return LookWithGradients(images, batch.labels.repeat({batch.view.size(0)}), request);
}

absl::StatusOr<Targets> LiveTeacher::LookWithGradients(const at::Tensor& images, const at::Tensor& labels,
                                                       const TargetRequest& request) {
  // The parameters require no gradients, so the graph begins at the images.
  const at::Tensor leaf = images.detach().set_requires_grad(true);
  nn::Request all = request;
  for (const std::string& tap : request.gradients.taps) {
    if (std::find(all.taps.begin(), all.taps.end(), tap) == all.taps.end()) all.taps.push_back(tap);
  }
  nn::Outputs outputs = model_->Forward(leaf, all);
  std::vector<at::Tensor> inputs;
  if (request.gradients.images) inputs.push_back(leaf);
  for (const std::string& tap : request.gradients.taps) inputs.push_back(outputs.taps.at(tap));
  const at::Tensor loss = at::cross_entropy_loss(outputs.logits, labels, {}, at::Reduction::Sum);
  const std::vector<at::Tensor> gradients = torch::autograd::grad({loss}, inputs);

  Targets targets;
  targets.logits = outputs.logits.detach();
  if (request.embedding) targets.embedding = outputs.embedding.detach();
  for (const std::string& tap : request.taps) targets.taps[tap] = outputs.taps.at(tap).detach();
  size_t next = 0;
  if (request.gradients.images) targets.gradients.images = gradients[next++];
  for (const std::string& tap : request.gradients.taps) targets.gradients.taps[tap] = gradients[next++];
  return targets;
}

absl::Status CachedTeacher::Check(const TargetRequest& request) const {
  if (request.gradients.images || !request.gradients.taps.empty()) {
    return absl::InvalidArgumentError(
        "a target cache holds no gradients, and the objective reads the teacher's; run the teacher itself (teacher: "
        "instead of targets:)");
  }
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

absl::StatusOr<Targets> CachedTeacher::Look(const data::Batch& batch, const TargetRequest& request) {
  RETORT_ASSIGN_OR_RETURN(nn::Outputs outputs, cache_.Gather(batch.view, batch.index, request.embedding));
  return Targets{std::move(outputs), {}};
}

}  // namespace retort::kd
