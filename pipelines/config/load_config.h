// From a text file and overrides to a pipeline that is known to be sound.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// Reads the textproto at `path`, applies `overrides` ("student.train.epochs=3": a stage's name or a field of Pipeline,
// then field names, [i] for repeated ones), and validates. Every fault is reported, in one InvalidArgument, a paragraph
// each:
//
//   configs/x.textproto:14:7: stage "student": objective.term[1].distill.temperature: -4 is not in (0, 1000]
//   configs/x.textproto:20:3: stage "student": train: no field "epoch"; permitted: augment, batch_size, epochs, ...;
//       did you mean "epochs"?
//
// Presets of objectives are replaced by their terms (kd/presets/presets.h), so that no stage and no key knows them.
//
// NotFound where the file is missing. A pipeline from here has passed Validate and CheckTerms: no stage checks ranges
// again.
absl::StatusOr<config::Pipeline> LoadPipeline(const std::string& path, absl::Span<const std::string> overrides);

}  // namespace retort::pipelines
