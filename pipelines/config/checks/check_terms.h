// Whether what terms read of models is there and fits together.
#pragma once

#include <vector>

#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// Complains of each term that reads a tap that its student or teacher has not, or tensors whose shapes do not fit
// together, with both names and shapes, and of maps that a cache_logits stage cannot make.
//
// Terms are tried on blank tensors. A model is built, once, where a term reads more of it than logits, and shown two
// blank images; no file is read. `pipeline` has passed Validate. A stage is passed over where the config does not say
// how large its images are.
void CheckTerms(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults);

}  // namespace retort::pipelines
