// Runs a teacher once over every view of every training image and stores its outputs: targets.safetensors.
// Metrics: views, samples, teacher_accuracy (share of all (view, image) whose largest logit is the label's).
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunCacheLogits(const StageContext& context);

}  // namespace retort::pipelines
