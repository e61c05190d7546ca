// Where a student's targets come from. Terms cannot tell which.
#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/data/batcher.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/term.h"
#include "retort/nn/model.h"

namespace retort::kd {

class Teacher {
 public:
  virtual ~Teacher() = default;

  // InvalidArgument if Look could not answer `request`, with what it can and what to do.
  virtual absl::Status Check(const TargetRequest& request) const = 0;

  // Targets of a batch, views folded into the batch: logits [V*B,K]. Only what is asked for is defined, and nothing in
  // it requires gradients.
  virtual absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) = 0;
};

// Runs a model in evaluation mode on the batch's own images or, with `own`, on what that makes of its indices and
// views.
//
// Of convolutional networks, an image's targets do not depend on the rest of its batch, to the last bit: in batches of
// less than four LibTorch computes a row with other kernels, so smaller batches than 8 are filled up. Those of
// transformers may differ in the last digits, by where in a batch an image stands.
class LiveTeacher final : public Teacher {
 public:
  explicit LiveTeacher(std::unique_ptr<nn::Model> model, std::unique_ptr<const data::Batcher> own = nullptr);
  absl::Status Check(const TargetRequest& request) const override;
  absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) override;

 private:
  absl::StatusOr<Targets> LookAt(const at::Tensor& images, const at::Tensor& labels, const TargetRequest& request);

  std::unique_ptr<nn::Model> model_;
  std::unique_ptr<const data::Batcher> own_;
};

// Reads stored targets by the batch's (view, index).
class CachedTeacher final : public Teacher {
 public:
  explicit CachedTeacher(TargetCache cache) : cache_(std::move(cache)) {}
  absl::Status Check(const TargetRequest& request) const override;
  absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) override;

 private:
  TargetCache cache_;
};

}  // namespace retort::kd
