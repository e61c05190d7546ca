// Trains a student on the targets of a teacher, live or stored. Payload as in training_stage.h.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunDistill(const StageContext& context);

}  // namespace retort::pipelines
