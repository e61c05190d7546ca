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
//  "classes": [{"name", "images", "accuracy"}], "confusion": [[...]],
//  "calibration": [{"images", "correct", "confidence"}]}
// What they mean: kd/evaluate.h. "fidelity" only where there is a teacher. Row of the confusion matrix: label, column:
// prediction. NaN is null.
absl::Status WriteEvaluation(const std::string& path, const kd::Evaluation& evaluation,
                             const std::vector<std::string>& class_names);

// What evaluation.json says beyond the metrics.
struct EvaluationDetails {
  std::vector<std::string> class_names;         // K
  std::vector<int64_t> confusion;               // [K*K] row-major, as in kd::Evaluation
  std::vector<kd::CalibrationBin> calibration;  // empty in those that were written before it was kept
};

// Reads what WriteEvaluation wrote. DataLoss if it is something else.
absl::StatusOr<EvaluationDetails> ReadEvaluation(const std::string& path);

// What an artifact's metrics say of it: "images", "accuracy", "loss", "ece", and with a teacher "agreement", "kl",
// "cka" (where it is a number), "teacher_accuracy", "teacher_loss", "teacher_ece".
std::vector<std::pair<std::string, double>> EvaluationMetrics(const kd::Evaluation& evaluation);

}  // namespace retort::pipelines
