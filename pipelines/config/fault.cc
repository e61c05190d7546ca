#include "retort/pipelines/config/fault.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::pipelines {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::OneofDescriptor;

const Said* Said::Find(int number, int index) const {
  const auto found = fields.find({number, index});
  return found == fields.end() ? nullptr : &found->second;
}

Cursor Cursor::Field(const FieldDescriptor* field, int index) const {
  Cursor child = *this;
  child.path_.push_back({field, index});
  child.said_ = said_ == nullptr ? nullptr : said_->Find(field->number(), std::max(index, 0));
  if (child.said_ != nullptr) child.place_ = child.said_->place;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const google::protobuf::Reflection* reflection = message_->GetReflection();
    child.message_ = field->is_repeated() ? &reflection->GetRepeatedMessage(*message_, field, index)
                                          : &reflection->GetMessage(*message_, field);
  }
  return child;
}

Cursor Cursor::Field(absl::string_view name, int index) const {
  return Field(message_->GetDescriptor()->FindFieldByName(std::string(name)), index);
}

bool Cursor::Mentions(const FieldDescriptor* field) const {
  if (said_ == nullptr) return false;
  return said_->Find(field->number(), 0) != nullptr || absl::c_linear_search(said_->meant, field->name());
}

bool Cursor::Mentions(const OneofDescriptor* oneof) const {
  if (said_ == nullptr) return false;
  for (int i = 0; i < oneof->field_count(); ++i) {
    if (Mentions(oneof->field(i))) return true;
  }
  return absl::c_linear_search(said_->meant, "");
}

void Cursor::Complain(std::string what) const { faults_->push_back({place_, path_, std::move(what)}); }

std::string PathText(const config::Pipeline& pipeline, const FieldPath& path) {
  std::string prefix;
  std::vector<std::string> names;
  for (size_t i = 0; i < path.size(); ++i) {
    const FieldDescriptor* field = path[i].field;
    if (i == 0 && field->number() == config::Pipeline::kStageFieldNumber) {
      const int index = path[i].index;
      const bool named = index < pipeline.stage_size() && !pipeline.stage(index).name().empty();
      prefix =
          named ? absl::StrCat("stage \"", pipeline.stage(index).name(), "\"") : absl::StrCat("stage[", index, "]");
      continue;
    }
    const OneofDescriptor* oneof = field->containing_oneof();
    if (i == 1 && oneof != nullptr && oneof->containing_type() == config::Stage::descriptor()) continue;
    names.push_back(path[i].index < 0 ? field->name() : absl::StrCat(field->name(), "[", path[i].index, "]"));
  }
  const std::string rest = absl::StrJoin(names, ".");
  return prefix.empty() || rest.empty() ? prefix + rest : absl::StrCat(prefix, ": ", rest);
}

std::string FaultsText(const std::string& file, absl::Span<const std::string> overrides,
                       const config::Pipeline& pipeline, std::vector<Fault> faults) {
  constexpr size_t kShown = 100;
  absl::c_stable_sort(faults, [](const Fault& a, const Fault& b) {
    return std::tie(a.place.override_index, a.place.line, a.place.column) <
           std::tie(b.place.override_index, b.place.line, b.place.column);
  });
  std::vector<std::string> lines;
  for (size_t i = 0; i < std::min(faults.size(), kShown); ++i) {
    const Fault& fault = faults[i];
    const std::string place = fault.place.override_index >= 0
                                  ? absl::StrCat("--set ", overrides[fault.place.override_index])
                                  : absl::StrCat(file, ":", fault.place.line, ":", fault.place.column);
    const std::string path = PathText(pipeline, fault.path);
    lines.push_back(absl::StrCat(place, ": ", path, path.empty() ? "" : ": ", fault.what));
  }
  if (faults.size() > kShown) lines.push_back(absl::StrCat("and ", faults.size() - kShown, " more faults"));
  return absl::StrJoin(lines, "\n");
}

}  // namespace retort::pipelines
