#include "retort/kd/teacher.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/full.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/stack.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "torch/csrc/autograd/autograd.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/torch/autograd/attention.h"

namespace retort::kd {
namespace {

// Twice what was found to be enough.
constexpr int64_t kLeastBatch = 8;

// `request` with every tap that a map or gradient is made of.
nn::Request AllTaps(const TargetRequest& request) {
  nn::Request all = request;
  for (const std::vector<std::string>* taps : {&request.maps, &request.gradients.maps}) {
    for (const std::string& tap : *taps) {
      if (std::find(all.taps.begin(), all.taps.end(), tap) == all.taps.end()) all.taps.push_back(tap);
    }
  }
  return all;
}

absl::Status CheckMap(const std::string& name, const at::Tensor& tap) {
  if (tap.dim() == 4) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the teacher's tap \"", name, "\" has ", tap.dim(), " dimensions; a map is made of [B,C,H,W]"));
}

absl::Status CheckLogitsAlone(const TargetRequest& request, absl::string_view whose) {
  if (request.LogitsAlone()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "of ", whose, " there are logits alone, and the objective reads more; leave those terms out, or use one teacher ",
      "that sees the images themselves"));
}

template <typename Change>
void ForEach(Targets& targets, const Change& change) {
  for (at::Tensor* target : {&targets.logits, &targets.embedding, &targets.gradients.images}) {
    if (target->defined()) change(*target);
  }
  for (auto* group : {&targets.taps, &targets.maps, &targets.gradients.maps}) {
    for (auto& [name, target] : *group) change(target);
  }
}

// `images` with the strides' order of `like`.
at::Tensor InLayoutOf(const at::Tensor& like, const at::Tensor& images) {
  return images.contiguous(like.suggest_memory_format());
}

}  // namespace

LiveTeacher::LiveTeacher(std::unique_ptr<nn::Model> model, std::unique_ptr<const data::Batcher> own)
    : model_(std::move(model)), own_(std::move(own)) {
  model_->SetTraining(false);
  for (const auto& [name, parameter] : model_->Parameters()) parameter.set_requires_grad(false);
}

absl::Status LiveTeacher::Check(const TargetRequest& request) const {
  return nn::CheckRequest(*model_, AllTaps(request), "teacher");
}

absl::StatusOr<Targets> LiveTeacher::Look(const data::Batch& batch, const TargetRequest& request) {
  at::Tensor images;
  if (own_ == nullptr) {
    images = batch.images.flatten(0, 1);
  } else {
    const absl::Span<const int64_t> index(batch.index.const_data_ptr<int64_t>(),
                                          static_cast<size_t>(batch.index.numel()));
    RETORT_ASSIGN_OR_RETURN(const data::Batch own, own_->AssembleEach(index, batch.view, batch.mix));
    images = own.images.flatten(0, 1);
  }
  const at::Tensor labels = batch.labels.repeat({batch.view.size(0)});
  const int64_t rows = images.size(0);
  if (rows >= kLeastBatch || rows == 0) return LookAt(images, labels, request);
  const at::Tensor filled = at::arange(kLeastBatch).remainder(rows);
  RETORT_ASSIGN_OR_RETURN(Targets targets, LookAt(InLayoutOf(images, images.index_select(0, filled)),
                                                  labels.index_select(0, filled), request));
  ForEach(targets, [rows](at::Tensor& target) { target = target.narrow(0, 0, rows); });
  return targets;
}

absl::StatusOr<Targets> LiveTeacher::LookAt(const at::Tensor& images, const at::Tensor& labels,
                                            const TargetRequest& request) {
  const bool differentiate = request.gradients.images || !request.gradients.maps.empty();
  const at::AutoGradMode mode(differentiate);
  // The parameters require no gradients, so the graph begins at the images.
  const at::Tensor leaf = images.detach().set_requires_grad(differentiate);
  nn::Outputs outputs = model_->Forward(leaf, AllTaps(request));

  Targets targets;
  if (request.logits) targets.logits = outputs.logits;
  if (request.embedding) targets.embedding = outputs.embedding;
  for (const std::string& tap : request.taps) targets.taps[tap] = outputs.taps.at(tap);
  for (const std::string& tap : request.maps) {
    RETORT_RETURN_IF_ERROR(CheckMap(tap, outputs.taps.at(tap)));
    RETORT_ASSIGN_OR_RETURN(targets.maps[tap],
                            ops::torch::ActivationMap(outputs.taps.at(tap).detach(),
                                                      {ops::ActivationKind::kMeanSquare, /*normalize=*/false}));
  }
  if (differentiate) {
    std::vector<at::Tensor> inputs;
    if (request.gradients.images) inputs.push_back(leaf);
    for (const std::string& tap : request.gradients.maps) {
      RETORT_RETURN_IF_ERROR(CheckMap(tap, outputs.taps.at(tap)));
      inputs.push_back(outputs.taps.at(tap));
    }
    const at::Tensor loss = at::cross_entropy_loss(outputs.logits, labels, {}, at::Reduction::Sum);
    const std::vector<at::Tensor> gradients = torch::autograd::grad({loss}, inputs);
    size_t next = 0;
    if (request.gradients.images) targets.gradients.images = gradients[next++];
    for (const std::string& tap : request.gradients.maps) {
      targets.gradients.maps[tap] = gradients[next++].abs().mean(1);
    }
  }
  ForEach(targets, [](at::Tensor& target) { target = target.detach(); });
  return targets;
}

absl::Status CachedTeacher::Check(const TargetRequest& request) const {
  return CheckContents(cache_.contents(), request);
}

at::Tensor CachedTeacher::StoredViews(const at::Tensor& view, const at::Tensor& images) const {
  if (!stored_view_) return view.flatten();
  at::Tensor stored = view.flatten().clone();
  auto* const number = stored.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < stored.numel(); ++i) {
    number[i] = stored_view_(number[i], images.const_data_ptr<int64_t>()[i]);
  }
  return stored;
}

void CachedTeacher::Announce(const at::Tensor& index, const at::Tensor& view) {
  if (!cache_.beyond_memory()) return;
  const at::Tensor images = index.repeat({view.size(0)});
  cache_.ReadAhead(StoredViews(view, images), images);
}

absl::StatusOr<Targets> CachedTeacher::Look(const data::Batch& batch, const TargetRequest& request) {
  const int64_t views = batch.view.size(0), images = batch.index.size(0);
  const at::Tensor index = batch.index.repeat({views});
  RETORT_ASSIGN_OR_RETURN(Targets targets, cache_.Gather(StoredViews(batch.view, index), index, request));
  if (!batch.partner.defined()) return targets;
  RETORT_RETURN_IF_ERROR(CheckLogitsAlone(request, "stored targets of images that are mixed"));
  const at::Tensor own = targets.logits.unflatten(0, {views, images}), lambda = batch.lambda.flatten();
  targets.logits = MeanLogits({targets.logits, own.index_select(1, batch.partner).flatten(0, 1)}, {lambda, 1 - lambda});
  return targets;
}

absl::Status EnsembleTeacher::Check(const TargetRequest& request) const {
  RETORT_RETURN_IF_ERROR(CheckLogitsAlone(request, "several teachers"));
  for (const Member& member : members_) RETORT_RETURN_IF_ERROR(member.teacher->Check(request));
  return absl::OkStatus();
}

absl::StatusOr<Targets> EnsembleTeacher::Look(const data::Batch& batch, const TargetRequest& request) {
  double sum = 0;
  for (const Member& member : members_) sum += member.weight;
  std::vector<at::Tensor> logits, weights;
  for (const Member& member : members_) {
    RETORT_ASSIGN_OR_RETURN(const Targets targets, member.teacher->Look(batch, request));
    logits.push_back(targets.logits);
    weights.push_back(at::full({1}, member.weight / sum, logits.back().options()));
  }
  Targets targets;
  targets.logits = MeanLogits(logits, weights);
  return targets;
}

at::Tensor MeanLogits(const std::vector<at::Tensor>& logits, const std::vector<at::Tensor>& weights) {
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < logits.size(); ++i) {
    parts.push_back(logits[i].log_softmax(1) + weights[i].log().unsqueeze(1));
  }
  return at::logsumexp(at::stack(parts), 0);
}

}  // namespace retort::kd
