// What is wrong with a config, and where it says so.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// Where something is said: in the file, or in an override.
struct Place {
  int line = 0;             // from 1
  int column = 0;           // from 1
  int override_index = -1;  // where it is not negative, `line` and `column` mean nothing
};

// Where a message and each of its fields is said, also those whose value was refused.
struct Said {
  Place place;
  std::map<std::pair<int, int>, Said> fields;  // by field number and index, which is 0 where the field is not repeated
  std::vector<std::string> meant;              // what each unknown field was probably meant to be; may be empty strings

  // Null where it is not said.
  const Said* Find(int number, int index) const;
};

struct PathStep {
  const google::protobuf::FieldDescriptor* field;
  int index;  // -1 where the field is not repeated
};
using FieldPath = std::vector<PathStep>;  // from a Pipeline

struct Fault {
  Place place;
  FieldPath path;
  std::string what;
};

// A message of a pipeline together with its place and path: what is needed to complain about it.
class Cursor {
 public:
  Cursor(const google::protobuf::Message& message, const Said& said, std::vector<Fault>* faults)
      : message_(&message), said_(&said), place_(said.place), faults_(faults) {}

  // Of the nearest message, for a field that is none.
  const google::protobuf::Message& message() const { return *message_; }

  Cursor Field(const google::protobuf::FieldDescriptor* field, int index = -1) const;
  Cursor Field(absl::string_view name, int index = -1) const;

  // Whether the text has this field, or something that was probably meant to be it.
  bool Mentions(const google::protobuf::FieldDescriptor* field) const;
  // Whether the text has an unknown field that may be an alternative of this oneof.
  bool Mentions(const google::protobuf::OneofDescriptor* oneof) const;

  // Adds a fault here.
  void Complain(std::string what) const;

 private:
  const google::protobuf::Message* message_;
  const Said* said_;  // null where nothing is said
  Place place_;       // of the nearest thing that is said
  FieldPath path_;
  std::vector<Fault>* faults_;
};

// `stage "student": objective.term[1].distill.temperature`; empty for the pipeline itself.
std::string PathText(const config::Pipeline& pipeline, const FieldPath& path);

// A line each, "file:line:column: path: what", in order of the file, then of the overrides. After 100 only their
// number.
std::string FaultsText(const std::string& file, absl::Span<const std::string> overrides,
                       const config::Pipeline& pipeline, std::vector<Fault> faults);

}  // namespace retort::pipelines
