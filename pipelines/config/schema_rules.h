// What the schema itself says about values: the options of data/field_options.proto, for any message.
#pragma once

#include <string>

#include "google/protobuf/descriptor.h"

#include "retort/pipelines/config/fault.h"

namespace retort::pipelines {

// The values that `field` permits, such as "(0, 1000]"; those of its type where it has no range.
std::string RangeText(const google::protobuf::FieldDescriptor& field);

// Complains of each number out of its `range`, each repeated field out of its `count`, each `needed`
// field that is not set or an empty string, each oneof with `one_needed` and no alternative; for the message at
// `cursor` and all within it.
void CheckSchemaRules(const Cursor& cursor);

}  // namespace retort::pipelines
