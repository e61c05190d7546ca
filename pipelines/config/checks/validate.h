// Whether a pipeline makes sense.
#pragma once

#include <vector>

#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// Complains of everything in `pipeline` that cannot be run as it is written: what the schema's own rules refuse
// (schema_rules.h), references to stages that are not there, later, or of another kind, and combinations that no field
// can refuse alone. Needs nothing but the config: no file is read.
void Validate(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults);

}  // namespace retort::pipelines
