// What finetune and distill share. Payload: model.safetensors, model.textproto, metrics.jsonl (one line an epoch, see
// kd/trainer/trainer.h), evaluation.json (test split); projector.safetensors of an objective that has one. Metrics:
// those of pipelines/payload/evaluation_json.h (test split), parameters.
#pragma once

#include <cstdint>
#include <functional>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/objective.pb.h"
#include "retort/kd/teacher.h"
#include "retort/kd/trainer/training.pb.h"
#include "retort/nn/model.pb.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines {

struct TrainingSetup {
  const config::Model* model;
  const config::Objective* objective;
  const config::Training* train;
  data::DatasetSplits splits;
  data::ViewPlan plan;
  std::function<at::Tensor(int64_t epoch, absl::Span<const int64_t> index)> views_of;
  kd::Teacher* teacher;       // null if there is none
  bool stored_views = false;  // `plan` is of numbered views, not of one for each epoch
};

// Views drawn afresh every epoch, as `train` says.
absl::StatusOr<data::ViewPlan> FreshViews(const StageContext& context, const config::Training& train);

// Trains, measures the weights that are kept on the test split once, and writes the payload.
absl::StatusOr<StageOutput> RunTraining(const StageContext& context, const TrainingSetup& setup);

}  // namespace retort::pipelines
