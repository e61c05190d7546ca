// Reads a data set into one resident block: dataset.safetensors. Metrics: train_images, test_images, classes.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunIngest(const StageContext& context);

}  // namespace retort::pipelines
