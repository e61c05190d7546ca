// The training loop: one loop for teachers, baselines and students.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/kd/evaluate.h"
#include "retort/kd/objective.h"
#include "retort/kd/teacher.h"
#include "retort/kd/training.pb.h"
#include "retort/nn/model.h"

namespace retort::kd {

// What is trained, on what. Pointers are borrowed.
struct TrainingTask {
  nn::Model* model = nullptr;
  Objective* objective = nullptr;
  Teacher* teacher = nullptr;  // null if no term needs one
  const data::Dataset* dataset = nullptr;
  const data::Batcher* batcher = nullptr;  // draws the views that are trained on
  std::vector<int64_t> train_index;
  const data::Batcher* evaluator = nullptr;  // clean images, for validation
  std::vector<int64_t> validation_index;     // empty: no validation
  // Which views of these images a step of `epoch` (from 0) sees, i64 [V,B]. SameView draws new ones every epoch.
  std::function<at::Tensor(int64_t epoch, absl::Span<const int64_t> index)> views_of;
  config::Training training;
  uint64_t seed = 0;
};

// View `number` of every image, [1,B].
at::Tensor SameView(int64_t number, absl::Span<const int64_t> index);

// How it is run; never changes the result.
struct TrainingRun {
  // Folder for checkpoints and metrics.jsonl, this training's own; training goes on from the newest valid checkpoint in
  // it.
  std::string work_dir;
  // Text of everything that decides the result, such as the artifact's key. A checkpoint of another identity is
  // refused.
  std::string identity;
  double checkpoint_seconds = 30;
  // Asked between steps; true makes Train write a checkpoint and return Cancelled.
  std::function<bool()> stop_requested;
  struct Progress {
    int64_t epoch, epochs;
    int64_t images_done, images_total;  // of the whole training; resumed ones count as done
    double loss;                        // mean of the epoch so far
    double seconds;                     // wall time of the whole training, stopped runs included
  };
  std::function<void(const Progress&)> on_progress;  // after every step
  // Hears of damaged checkpoints that were passed over.
  std::function<void(const std::string&)> on_warning;
};

struct EpochMetrics {
  int64_t epoch = 0;  // from 1
  double learning_rate = 0;
  double loss = 0;             // mean total
  std::vector<double> parts;   // mean of each term before its weight
  double accuracy = 0;         // of the training batches as they came, by their own labels where mixed, 0..1
  double validation_loss = 0;  // plain cross-entropy; NaN without validation
  double validation_accuracy = 0;
};

// Trains to the end of the last epoch. Every draw (order, view, dropout) is a function of (seed, epoch, step), so a run
// that was stopped anywhere and resumed ends with the same bits as one that was not. One line an epoch is written to
// metrics.jsonl.
//
// metrics.jsonl: {"epoch", "learning_rate", "loss", "parts": {term: mean}, "accuracy", "validation_loss",
// "validation_accuracy"}, the last two only with validation. It holds no times, so it too is the same bytes for the
// same task.
//
// Cancelled if stopped; DataLoss if the loss or a parameter becomes NaN or infinite, naming epoch and step;
// FailedPrecondition if work_dir holds another training; InvalidArgument if teacher and objective do not fit together.
// Leaves the model in training mode, and draws from LibTorch's default CPU generator, which it seeds anew for every
// step.
absl::StatusOr<std::vector<EpochMetrics>> Train(const TrainingTask& task, const TrainingRun& run);

}  // namespace retort::kd
