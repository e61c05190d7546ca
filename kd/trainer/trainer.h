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
#include "retort/kd/trainer/history.h"
#include "retort/kd/trainer/training.pb.h"
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
  const data::Batcher* evaluator = nullptr;  // for validation; its data set may be another
  std::vector<int64_t> validation_index;     // of its data set; empty: no validation
  // Which view of these is looked at after `epoch` (from 0).
  std::function<int64_t(int64_t epoch)> validation_view = [](int64_t) { return 0; };
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
    int64_t epoch = 0, epochs = 0;              // complete ones, and all
    int64_t images_done = 0, images_total = 0;  // of the whole training; resumed ones count as done
    double loss = 0;                            // mean of the epoch so far
    std::vector<double> parts;                  // of each term, before its weight
    double seconds = 0;                         // wall time of the whole training, stopped runs included
  };
  std::function<void(const Progress&)> on_progress;  // after every step
  // After every epoch; an error ends the training.
  std::function<absl::Status(const EpochMetrics&)> on_epoch;
  // Hears of damaged checkpoints that were passed over.
  std::function<void(const std::string&)> on_warning;
};

// Trains to the end of the last epoch, or until the selection ends it, and leaves the model with the weights that the
// config keeps: the last's, the best epoch's, or their averages. Every draw (order, view, dropout) is a function of
// (seed, epoch, step), so a run that was stopped anywhere and resumed ends with the same bits as one that was not. One
// line an epoch is written to metrics.jsonl (kd/trainer/history.h). It holds no times, so it too is the same bytes for
// the same task.
//
// Cancelled if stopped; FailedPrecondition if work_dir holds another training; InvalidArgument if teacher and objective
// do not fit together, or a group of the optimiser names nothing. DataLoss if weights or
// statistics are NaN or infinite after an epoch, or the loss in a step: it names epoch, step and terms, and
// "diverged.safetensors" in work_dir then holds the batch (batch.index i64 [V*B], batch.images f32 [V*B,C,H,W]) and all
// that the step began with, named as in a checkpoint.
//
// Leaves the model in training mode, and draws from LibTorch's default CPU generator, which it seeds anew for every
// step.
absl::StatusOr<std::vector<EpochMetrics>> Train(const TrainingTask& task, const TrainingRun& run);

}  // namespace retort::kd
