// What would happen, without doing it.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "retort/pipelines/plan.h"

namespace retort::pipelines {

// For every stage that `goals` reach: reads its data set, builds its models, runs one batch through student, teacher
// and objective, and prints sizes: parameters, tap shapes, memory, disk. Writes no file. Errors are those that a run
// would meet.
absl::Status DryRun(const Plan& plan, const std::vector<size_t>& goals, const std::string& data_dir, std::ostream& out);

}  // namespace retort::pipelines
