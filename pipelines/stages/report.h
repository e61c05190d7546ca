// Writes results.json, results.md, report.html and table.txt from the metrics of runs. Metric: runs.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunReport(const StageContext& context);

}  // namespace retort::pipelines
