#include "retort/pipelines/config/references.h"

#include <set>

#include "google/protobuf/descriptor.h"

#include "retort/data/field_options.pb.h"

namespace retort::pipelines {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::vector<Reference> References(const Message& message) {
  std::vector<Reference> references;
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->options().ExtensionSize(config::refers_to) == 0) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        references.push_back({field->name(), message.GetReflection()->GetRepeatedString(message, field, i)});
      }
    } else {
      references.push_back({field->name(), message.GetReflection()->GetString(message, field)});
    }
  }
  return references;
}

const Message& KindMessage(const config::Stage& stage) {
  const google::protobuf::OneofDescriptor* kind = config::Stage::descriptor()->FindOneofByName("kind");
  const google::protobuf::Reflection* reflection = stage.GetReflection();
  return reflection->GetMessage(stage, reflection->GetOneofFieldDescriptor(stage, kind));
}

config::Pipeline PipelineBehind(const config::Pipeline& pipeline, absl::string_view name) {
  std::set<std::string> needed = {std::string(name)};
  // References go backwards.
  for (int i = pipeline.stage_size() - 1; i >= 0; --i) {
    if (needed.count(pipeline.stage(i).name()) == 0) continue;
    for (const Reference& reference : References(KindMessage(pipeline.stage(i)))) needed.insert(reference.name);
  }
  config::Pipeline behind = pipeline;
  behind.clear_deployment();
  behind.clear_stage();
  for (const config::Stage& stage : pipeline.stage()) {
    if (needed.count(stage.name()) > 0) *behind.add_stage() = stage;
  }
  return behind;
}

}  // namespace retort::pipelines
