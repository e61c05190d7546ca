#include "retort/pipelines/config/schema_rules.h"

#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "google/protobuf/message.h"
#include "retort/data/field_options.pb.h"
#include "retort/pipelines/config/number_text.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;

std::string LimitsText(const config::Limits& limits) {
  return absl::StrCat(
      limits.above_min() || !limits.has_min() ? "(" : "[", limits.has_min() ? NumberText(limits.min()) : "-inf", ", ",
      limits.has_max() ? NumberText(limits.max()) : "inf", limits.below_max() || !limits.has_max() ? ")" : "]");
}

// False for NaN, to which nothing compares.
bool Within(double value, const config::Limits& limits) {
  const bool above = !limits.has_min() || (limits.above_min() ? value > limits.min() : value >= limits.min());
  const bool below = !limits.has_max() || (limits.below_max() ? value < limits.max() : value <= limits.max());
  return above && below;
}

struct Number {
  double value;
  std::string text;
};

template <typename T>
Number Whole(T value) {
  return {static_cast<double>(value), absl::StrCat(value)};
}

// Element `index` of a number field; nothing for fields of other types.
absl::optional<Number> GetNumber(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return Whole(repeated ? reflection->GetRepeatedInt32(message, field, index)
                            : reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return Whole(repeated ? reflection->GetRepeatedInt64(message, field, index)
                            : reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return Whole(repeated ? reflection->GetRepeatedUInt32(message, field, index)
                            : reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return Whole(repeated ? reflection->GetRepeatedUInt64(message, field, index)
                            : reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_FLOAT: {
      const float value =
          repeated ? reflection->GetRepeatedFloat(message, field, index) : reflection->GetFloat(message, field);
      return Number{value, NumberText(value)};
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value =
          repeated ? reflection->GetRepeatedDouble(message, field, index) : reflection->GetDouble(message, field);
      return Number{value, NumberText(value)};
    }
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::nullopt;
}

void CheckValue(const Cursor& parent, const FieldDescriptor* field, int index) {
  const Cursor cursor = parent.Field(field, index);
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return CheckSchemaRules(cursor);
  const absl::optional<Number> number = GetNumber(parent.message(), field, index < 0 ? 0 : index);
  if (number.has_value() && !Within(number->value, field->options().GetExtension(config::range))) {
    cursor.Complain(absl::StrCat(number->text, " is not in ", RangeText(*field)));
  }
}

void CheckRepeated(const Cursor& cursor, const FieldDescriptor* field) {
  const Message& message = cursor.message();
  const int size = message.GetReflection()->FieldSize(message, field);
  for (int i = 0; i < size; ++i) CheckValue(cursor, field, i);
  const config::Limits& count = field->options().GetExtension(config::count);
  const bool refused = size == 0 && cursor.Mentions(field);  // there was one, and it has its own fault
  if (field->options().HasExtension(config::count) && !refused && !Within(size, count)) {
    cursor.Complain(absl::StrCat("\"", field->name(), "\" occurs ", size, " times; permitted: ", LimitsText(count)));
  }
}

void CheckSingle(const Cursor& cursor, const FieldDescriptor* field) {
  const Message& message = cursor.message();
  const bool needed = field->options().GetExtension(config::needed);
  if (!message.GetReflection()->HasField(message, field)) {
    if (needed && !cursor.Mentions(field)) cursor.Complain(absl::StrCat("needs \"", field->name(), "\""));
  } else if (needed && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
             message.GetReflection()->GetString(message, field).empty()) {
    cursor.Field(field).Complain("must not be empty");
  } else {
    CheckValue(cursor, field, -1);
  }
}

}  // namespace

std::string RangeText(const FieldDescriptor& field) {
  if (field.options().HasExtension(config::range)) return LimitsText(field.options().GetExtension(config::range));
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat("[", std::numeric_limits<int32_t>::min(), ", ", std::numeric_limits<int32_t>::max(), "]");
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat("[", std::numeric_limits<int64_t>::min(), ", ", std::numeric_limits<int64_t>::max(), "]");
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat("[0, ", std::numeric_limits<uint32_t>::max(), "]");
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat("[0, ", std::numeric_limits<uint64_t>::max(), "]");
    default:
      return LimitsText(config::Limits());
  }
}

void CheckSchemaRules(const Cursor& cursor) {
  const google::protobuf::Descriptor* descriptor = cursor.message().GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    field->is_repeated() ? CheckRepeated(cursor, field) : CheckSingle(cursor, field);
  }
  for (int i = 0; i < descriptor->oneof_decl_count(); ++i) {
    const OneofDescriptor* oneof = descriptor->oneof_decl(i);
    if (!oneof->options().GetExtension(config::one_needed)) continue;
    if (cursor.message().GetReflection()->HasOneof(cursor.message(), oneof) || cursor.Mentions(oneof)) continue;
    std::vector<std::string> alternatives;
    for (int j = 0; j < oneof->field_count(); ++j) alternatives.push_back(oneof->field(j)->name());
    cursor.Complain(absl::StrCat("needs one of ", absl::StrJoin(alternatives, ", ")));
  }
}

}  // namespace retort::pipelines
