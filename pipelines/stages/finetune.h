// Trains a model on labels. Payload as in training_stage.h.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunFinetune(const StageContext& context);

}  // namespace retort::pipelines
