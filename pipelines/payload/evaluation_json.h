// evaluation.json: what was measured on a split.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/kd/evaluate.h"

namespace retort::pipelines {

// {"images", "accuracy", "loss", "ece",
//  "fidelity": {"agreement", "kl", "cka", "teacher": {"accuracy", "loss", "ece"}},
//  "classes": [{"name", "images", "accuracy"}], "confusion": [[...]]}
// What they mean: kd/evaluate.h. "fidelity" only where there is a teacher. Row of the confusion matrix: label, column:
// prediction. NaN is null.
absl::Status WriteEvaluation(const std::string& path, const kd::Evaluation& evaluation,
                             const std::vector<std::string>& class_names);

// Which classes images are taken for.
struct Confusion {
  std::vector<std::string> class_names;  // K
  std::vector<int64_t> images;           // [K*K] row-major: images[label * K + prediction]
};

// "classes" and "confusion" of what WriteEvaluation wrote. DataLoss if it is something else.
absl::StatusOr<Confusion> ReadConfusion(const std::string& path);

// What an artifact's metrics say of it: "images", "accuracy", "loss", "ece", and with a teacher "agreement", "kl",
// "cka" (where it is a number), "teacher_accuracy", "teacher_loss", "teacher_ece".
std::vector<std::pair<std::string, double>> EvaluationMetrics(const kd::Evaluation& evaluation);

}  // namespace retort::pipelines
