// Where a student's targets come from. Terms cannot tell which.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
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

  // What Look will be asked for next, index i64 [B] and view i64 [V,B]: a hint to a teacher that reads from disk.
  virtual void Announce(const at::Tensor& /*index*/, const at::Tensor& /*view*/) {}
};

// Runs a model in evaluation mode on the batch's own images or, with `own`, on what that makes of its indices and
// views; then the batch needs no images.
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

// Reads stored targets by the batch's (view, index). Where the images of the batch are mixed with each other, so are
// their targets, by MeanLogits with lambda; only logits can be.
class CachedTeacher final : public Teacher {
 public:
  // Which stored view stands for `view` of `image`; that of the same number where it is empty.
  using StoredView = std::function<int64_t(int64_t view, int64_t image)>;

  explicit CachedTeacher(TargetCache cache, StoredView stored_view = {})
      : cache_(std::move(cache)), stored_view_(std::move(stored_view)) {}
  absl::Status Check(const TargetRequest& request) const override;
  absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) override;
  void Announce(const at::Tensor& index, const at::Tensor& view) override;

 private:
  // Stored views [V*B] in the place of `view`, of images [V*B].
  at::Tensor StoredViews(const at::Tensor& view, const at::Tensor& images) const;

  TargetCache cache_;
  StoredView stored_view_;
};

// Several teachers as one: MeanLogits of theirs. Only logits can be asked for.
class EnsembleTeacher final : public Teacher {
 public:
  struct Member {
    std::unique_ptr<Teacher> teacher;
    double weight = 1;  // above 0; the sum of all is taken as 1
  };
  explicit EnsembleTeacher(std::vector<Member> members) : members_(std::move(members)) {}
  absl::Status Check(const TargetRequest& request) const override;
  absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) override;

 private:
  std::vector<Member> members_;
};

// log sum_i w_i softmax(logits_i), the weighted mean of probabilities at temperature 1, written as logits [R,K].
// Weights w_i [R] or [1] add up to 1 in each row; 0 is permitted.
at::Tensor MeanLogits(const std::vector<at::Tensor>& logits, const std::vector<at::Tensor>& weights);

}  // namespace retort::kd
