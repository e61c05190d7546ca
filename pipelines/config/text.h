// Protobuf's text format, read so that one pass finds every fault. google::protobuf::TextFormat stops at the first one
// and places it after the offending word; in exchange it knows extensions, Any and strings that go on over several
// lines, which configs do without. What is accepted here is a subset of what TextFormat accepts, and means the same.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

#include "retort/pipelines/config/fault.h"

namespace retort::pipelines {

// Reads the fields of `message` from `text`. Adds every fault to `faults`, and reads on behind it. False where the
// text's structure is broken (a brace without its partner, a string without its end): then `message` says nothing about
// what comes after.
bool ReadMessage(absl::string_view text, google::protobuf::Message* message, Said* said, std::vector<Fault>* faults);

// Reads the text of one value ("3", "KL", "{ sgd { } }"; "[a, b]" where `field` is repeated) and adds it to `message`,
// which must not have `field` yet. Strings need no quotes where `field` is a string. `place` is used for everything
// said, `path` is the path of `message`. False and at least one fault where the text is no such value; `message` is
// then of no use.
bool ReadValue(absl::string_view text, const google::protobuf::FieldDescriptor* field, const Place& place,
               const FieldPath& path, google::protobuf::Message* message, Said* said, std::vector<Fault>* faults);

}  // namespace retort::pipelines
