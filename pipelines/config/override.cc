#include "retort/pipelines/config/override.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "google/protobuf/message.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/config/text.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

class Override {
 public:
  Override(int index, config::Pipeline* pipeline, Said* said, std::vector<Fault>* faults)
      : pipeline_(pipeline), said_(said), faults_(faults) {
    place_.override_index = index;
  }

  void Apply(absl::string_view text) {
    const size_t equals = text.find('=');
    if (equals == absl::string_view::npos || equals == 0) return Complain("needs the form path=value, such as seed=7");
    if (Resolve(text.substr(0, equals))) Set(text.substr(equals + 1));
  }

 private:
  void Complain(std::string what) { faults_->push_back({place_, path_, std::move(what)}); }

  // Follows `text` through the schema into path_, changing nothing.
  bool Resolve(absl::string_view text) {
    const Descriptor* descriptor = config::Pipeline::descriptor();
    const Message* message = pipeline_;  // null where the pipeline has no such message yet
    for (absl::string_view part : absl::StrSplit(text, '.')) {
      if (descriptor == nullptr) {
        const FieldDescriptor* last = path_.back().field;
        Complain(last->message_type() == nullptr
                     ? absl::StrCat("is a value and has no field \"", part, "\"")
                     : absl::StrCat("is repeated; say which, such as ", last->name(), "[0]"));
        return false;
      }
      const std::string name(part.substr(0, part.find('[')));
      if (path_.empty() && descriptor->FindFieldByName(name) == nullptr) {
        if (!ResolveStage(part)) return false;
        message = &pipeline_->stage(path_[0].index)
                       .GetReflection()
                       ->GetMessage(pipeline_->stage(path_[0].index), path_[1].field);
        descriptor = path_[1].field->message_type();
        continue;
      }
      const FieldDescriptor* field = descriptor->FindFieldByName(name);
      if (field == nullptr) {
        std::vector<std::string> names;
        for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
        Complain(absl::StrCat("no field \"", name, "\"; ", Permitted(name, std::move(names))));
        return false;
      }
      // A repeated message without an index has no fields to go on with, hence the null descriptor below.
      if (!ResolveIndex(field, part.substr(name.size()), message)) return false;
      const bool one = !field->is_repeated() || path_.back().index >= 0;
      descriptor = one ? field->message_type() : nullptr;
      if (message != nullptr && descriptor != nullptr) {
        const Reflection* reflection = message->GetReflection();
        message = field->is_repeated() ? &reflection->GetRepeatedMessage(*message, field, path_.back().index)
                                       : &reflection->GetMessage(*message, field);
      }
    }
    return true;
  }

  bool ResolveStage(absl::string_view name) {
    std::vector<std::string> names;
    for (int i = 0; i < pipeline_->stage_size(); ++i) {
      const config::Stage& stage = pipeline_->stage(i);
      names.push_back(stage.name());
      if (stage.name() != name) continue;
      const FieldDescriptor* kind =
          stage.GetReflection()->GetOneofFieldDescriptor(stage, config::Stage::descriptor()->FindOneofByName("kind"));
      path_.push_back({config::Pipeline::descriptor()->FindFieldByName("stage"), i});
      if (kind == nullptr) {
        Complain("the stage has no kind yet");
        return false;
      }
      path_.push_back({kind, -1});
      return true;
    }
    const Descriptor* fields = config::Pipeline::descriptor();
    for (int i = 0; i < fields->field_count(); ++i) names.push_back(fields->field(i)->name());
    Complain(absl::StrCat("no stage and no field \"", name, "\"; ", Permitted(name, std::move(names))));
    return false;
  }

  // Adds `field` with the index in `brackets`, "[3]" or nothing, to path_.
  bool ResolveIndex(const FieldDescriptor* field, absl::string_view brackets, const Message* message) {
    path_.push_back({field, -1});
    if (brackets.empty()) return true;
    if (!field->is_repeated()) {
      Complain(absl::StrCat("is not repeated; leave \"", brackets, "\" out"));
      return false;
    }
    const int size = message == nullptr ? 0 : message->GetReflection()->FieldSize(*message, field);
    int index = -1;
    const bool read = absl::ConsumePrefix(&brackets, "[") && absl::ConsumeSuffix(&brackets, "]") &&
                      absl::SimpleAtoi(brackets, &index);
    if (!read || index < 0 || index >= size) {
      Complain(absl::StrCat("no element \"", brackets, "\"; ",
                            size == 0 ? "it has none" : absl::StrCat("permitted: 0 to ", size - 1)));
      return false;
    }
    path_.back().index = index;
    return true;
  }

  // Reads the value into a message of its own, and puts it at path_ if it is sound.
  void Set(absl::string_view value) {
    const PathStep last = path_.back();
    FieldPath parent_path(path_.begin(), path_.end() - 1);
    // `new_parent` has the type of the message that holds the field.
    const Message* prototype =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(last.field->containing_type());
    const std::unique_ptr<Message> read(prototype->New());
    Said read_said;
    if (!ReadValue(value, last.field, place_, parent_path, read.get(), &read_said, faults_)) return;

    Message* message = pipeline_;
    Said* said = said_;
    for (const PathStep& step : parent_path) {
      const Reflection* reflection = message->GetReflection();
      message = step.field->is_repeated() ? reflection->MutableRepeatedMessage(message, step.field, step.index)
                                          : reflection->MutableMessage(message, step.field);
      said = &said->fields.emplace(Key(step), Said{place_, {}, {}}).first->second;
    }
    const Reflection* reflection = message->GetReflection();
    if (last.index < 0) {
      reflection->ClearField(message, last.field);
      said->fields.erase(said->fields.lower_bound({last.field->number(), 0}),
                         said->fields.lower_bound({last.field->number() + 1, 0}));
      message->MergeFrom(*read);
      said->fields.merge(read_said.fields);
    } else {
      message->MergeFrom(*read);
      const int end = reflection->FieldSize(*message, last.field) - 1;
      reflection->SwapElements(message, last.field, last.index, end);
      reflection->RemoveLast(message, last.field);
      said->fields[Key(last)] = std::move(read_said.fields.begin()->second);
    }
  }

  static std::pair<int, int> Key(const PathStep& step) {
    return {step.field->number(), step.index < 0 ? 0 : step.index};
  }

  config::Pipeline* pipeline_;
  Said* said_;
  std::vector<Fault>* faults_;
  Place place_;
  FieldPath path_;
};

}  // namespace

void ApplyOverride(absl::string_view override_text, int index, config::Pipeline* pipeline, Said* said,
                   std::vector<Fault>* faults) {
  Override(index, pipeline, said, faults).Apply(override_text);
}

}  // namespace retort::pipelines
