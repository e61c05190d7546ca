// Measures a trained model on a split: evaluation.json. Metrics: accuracy, loss, parameters, images.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunEvaluate(const StageContext& context);

}  // namespace retort::pipelines
