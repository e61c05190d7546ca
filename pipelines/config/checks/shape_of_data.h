// What data a stage works on, as far as a config tells.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

#include "retort/nn/model.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// The ingest stage whose images stage `name` works on, through whatever stages; null where a reference on the way is
// wrong.
const config::Stage* IngestBehind(const config::Pipeline& pipeline, absl::string_view name);

// Images and classes of the data set behind stage `name`; nothing where a reference on the way is wrong.
absl::optional<nn::ModelShape> ShapeOfData(const config::Pipeline& pipeline, absl::string_view name);

}  // namespace retort::pipelines
