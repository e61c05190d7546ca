// An objective on tensors of a file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"

namespace retort::tools {

struct ObjectiveRequest {
  std::string objective;  // config::Objective as text
  std::string tensors;    // path; see tools/objective/bare_step.h
  std::string out;        // path for gradients; none if empty
  int64_t epoch = 0;      // from 0
  // Draws the objective's own parts that `tensors` does not have.
  absl::optional<uint64_t> seed;
  int64_t samples = 0;  // training images; 0: one more than the greatest index
};

struct ObjectiveValues {
  std::string objective;                              // its terms, a line each (kd/presets/presets.h)
  std::vector<std::pair<std::string, double>> terms;  // before their weights
  double total = 0;
};

// In the type of the tensors. `out` gets "grad.<name>" of each tensor of the student and of each of the objective's
// parameters, 0 where the total does not depend on it.
//
// InvalidArgument names what is wrong with the text or the tensors and what is needed; DataLoss if the total or
// a gradient has NaN or infinity, and then nothing is written.
absl::StatusOr<ObjectiveValues> EvaluateObjective(const ObjectiveRequest& request);

}  // namespace retort::tools
