// A training of milliseconds, for the tests of the trainer and of what it is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/kd/objective.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/teacher.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/nn/model.h"

namespace retort::kd::testing {

constexpr int64_t kClasses = 3;

// `size` images of 4x4x1 with noise and one bright row, which is their class.
data::Dataset TinyDataset(int64_t size, uint32_t seed);

// hidden [B,D] = dropout(relu(W1 x + b1)), its places in turn map [B,2,D/4,2], logits [B,3] = W2 (map - mean) + b2. The
// buffer `mean` follows the hidden values in training, so that a result depends on all steps before it. A row of a
// result does not depend on the rest of its batch.
class TinyModel final : public nn::Model {
 public:
  TinyModel(uint32_t seed, double dropout);

  nn::Outputs Forward(const at::Tensor& images, const nn::Request& request) override;
  std::vector<std::string> TapNames() const override { return {"hidden", "map"}; }
  std::vector<nn::NamedTensor> Parameters() const override;
  std::vector<nn::NamedTensor> Buffers() const override { return {{"mean", mean_}}; }
  void SetTraining(bool training) override { training_ = training; }

  bool training() const { return training_; }
  // Number of zeros that dropout made in each forward pass in training mode.
  const std::vector<int64_t>& dropped() const { return dropped_; }

 private:
  double dropout_;
  at::Tensor weight1_, bias1_, weight2_, bias2_, mean_;
  bool training_ = true;
  std::vector<int64_t> dropped_;
};

struct TinyOptions {
  int64_t images = 22;
  // Of `images`, the last ones.
  int64_t validation = 5;
  uint64_t seed = 7;
  double dropout = 0.3;
  std::string objective = "term { cross_entropy {} }";
  std::string training =
      "epochs: 3 batch_size: 4 optimizer { adam { learning_rate: 0.02 } } schedule { warmup_epochs: 1 cosine {} } "
      "augment { flip {} }";
};

// Owns all that `task` points to.
struct TinyTraining {
  explicit TinyTraining(const TinyOptions& options = {});
  TinyTraining(const TinyTraining&) = delete;
  TinyTraining& operator=(const TinyTraining&) = delete;

  int64_t Steps() const;  // of the whole training

  data::Dataset dataset;
  std::unique_ptr<data::Batcher> batcher;
  std::unique_ptr<data::Batcher> evaluator;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<TinyModel> model;
  std::unique_ptr<Teacher> teacher;
  TrainingTask task;
};

// What `teacher` says of `views` views of each of the `images` that `batcher` has, `batch` images at a time.
TargetCache CacheOf(Teacher& teacher, const data::Batcher& batcher, int64_t images, int64_t views,
                    const config::StoredTargets& contents, int64_t batch);

// Of a tiny training, in shards of five images.
TargetCache CacheOf(Teacher& teacher, const TinyTraining& tiny, int64_t views, const std::string& contents,
                    int64_t batch = 1);

// Of all tensors, one after the other.
std::string Bytes(const std::vector<nn::NamedTensor>& tensors);

// Bytes of all parameters and buffers.
std::string Weights(const nn::Model& model);

}  // namespace retort::kd::testing
