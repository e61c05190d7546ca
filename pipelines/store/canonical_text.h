// One text for one meaning, to hash.
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace retort::pipelines {

// All fields in order of their numbers, one "path: value" line a scalar, defaults explicit where the schema has one:
//
//   model.light_nn.conv1: 16
//   objective.term[0].distill.form: KL
//   train.schedule.constant: {}
//
// Numbers are in the shortest form that reads back to the same bits, strings quoted and escaped, a message without a
// line of its own is "{}". Left out are fields marked (deployment), messages that are not set, scalars that are
// neither set nor have a default in the schema, alternatives that are not chosen. Equal for messages that mean the
// same, whatever the text they were parsed from, and different for others; never protobuf's own serialisation, which
// promises neither.
std::string CanonicalText(const google::protobuf::Message& message);

}  // namespace retort::pipelines
