// One text for one meaning, to hash.
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace retort::pipelines {

// All fields in order of their numbers, one "path: value" line a scalar, defaults explicit, floats in the shortest form that
// reads back to the same bits; fields marked (deployment) and messages that are not set left out. Equal for messages that
// mean the same, whatever the text they were parsed from; never protobuf's own serialisation, which promises neither.
std::string CanonicalText(const google::protobuf::Message& message);

}  // namespace retort::pipelines
