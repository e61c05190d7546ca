// Changes to a config from the command line.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// Applies one override, "path=value", number `index` of those on the command line.
//
//   seed=9                                                  a field of Pipeline
//   student.train.epochs=3                                  a stage's name, then fields of its kind
//   student.objective.term[1].distill.temperature=2         one element of a repeated field
//   teacher.train.optimizer={ sgd { learning_rate: 0.1 } }  a whole message, replaced
//   results.run=[baseline, student]                         a whole repeated field, replaced
//
// Values are written as in the file, strings also without quotes. Messages on the way are made where they are missing,
// and alternatives are chosen. A fault leaves the pipeline as it was.
void ApplyOverride(absl::string_view override_text, int index, config::Pipeline* pipeline, Said* said,
                   std::vector<Fault>* faults);

}  // namespace retort::pipelines
