// evaluation.json: what was measured on a split.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "retort/kd/evaluate.h"

namespace retort::pipelines {

// {"images", "accuracy", "loss", "classes": [{"name", "images", "accuracy"}], "confusion": [[...]]}; row of the
// confusion matrix: label, column: prediction.
absl::Status WriteEvaluation(const std::string& path, const kd::Evaluation& evaluation,
                             const std::vector<std::string>& class_names);

}  // namespace retort::pipelines
