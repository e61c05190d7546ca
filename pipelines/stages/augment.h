// Fixes the plan of the views of a data set: views.textproto. No pixel is stored. Metric: views.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunAugment(const StageContext& context);

}  // namespace retort::pipelines
