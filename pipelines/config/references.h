// Which stages a stage names.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

struct Reference {
  std::string role;  // the field: "teacher"
  std::string name;  // of the stage
};

// Those in fields with (refers_to) of a stage's own message, such as config::Distill, in the order of its fields.
std::vector<Reference> References(const google::protobuf::Message& message);

// The stage's own message. It must have one.
const google::protobuf::Message& KindMessage(const config::Stage& stage);

// `pipeline` with no more than decides what stage `name` is: it and the stages that it is made from, at any depth, in
// their order, and no deployment.
config::Pipeline PipelineBehind(const config::Pipeline& pipeline, absl::string_view name);

}  // namespace retort::pipelines
