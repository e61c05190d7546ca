#include "retort/pipelines/config/text.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/config/schema_rules.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumValueDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;
using ::google::protobuf::io::Tokenizer;

// What an unknown field was probably meant to be: a field of the same message, or "child.field" of one nested in it.
std::string Meant(const std::string& name, const Descriptor& descriptor, std::vector<std::string>* permitted) {
  for (int i = 0; i < descriptor.field_count(); ++i) permitted->push_back(descriptor.field(i)->name());
  return Closest(name, *permitted);
}

std::string Elsewhere(const std::string& name, const Descriptor& descriptor) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* child = descriptor.field(i);
    if (child->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
        child->message_type()->FindFieldByName(name) != nullptr) {
      return absl::StrCat("; did you mean \"", child->name(), ".", name, "\"?");
    }
  }
  return "";
}

class Reader : private google::protobuf::io::ErrorCollector {
 public:
  Reader(absl::string_view text, const Place* place, FieldPath path, std::vector<Fault>* faults)
      : input_(text.data(), static_cast<int>(text.size())),
        tokens_(&input_, this),
        place_(place),
        path_(std::move(path)),
        faults_(faults) {
    tokens_.set_allow_f_after_float(true);
    tokens_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
    tokens_.Next();
  }

  bool ReadWhole(Message* message, Said* said) {
    said->place = Here();
    ReadFields(message, said, "", Here());
    return sound_;
  }

  bool ReadOnly(const FieldDescriptor* field, Message* message, Said* said) {
    const size_t before = faults_->size();
    bare_strings_ = true;
    ReadValues(field, Here(), message, said);
    if (!AtEnd()) Complain(Here(), absl::StrCat("unexpected \"", Token(), "\" after the value"));
    return faults_->size() == before;
  }

 private:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& what) override {
    Complain(PlaceOf(line, column), what);
    sound_ = false;
  }

  const std::string& Token() { return tokens_.current().text; }
  bool AtEnd() { return tokens_.current().type == Tokenizer::TYPE_END; }
  bool LookingAt(Tokenizer::TokenType type) { return tokens_.current().type == type; }
  bool LookingAt(absl::string_view symbol) { return LookingAt(Tokenizer::TYPE_SYMBOL) && Token() == symbol; }
  bool AtOpening() { return LookingAt("{") || LookingAt("<") || LookingAt("["); }
  bool AtClosing() { return LookingAt("}") || LookingAt(">") || LookingAt("]"); }

  bool TryConsume(absl::string_view symbol) {
    if (!LookingAt(symbol)) return false;
    tokens_.Next();
    return true;
  }

  Place PlaceOf(int line, int column) const {
    if (place_ != nullptr) return *place_;
    Place place;
    place.line = line + 1;
    place.column = column + 1;
    return place;
  }
  Place Here() { return PlaceOf(tokens_.current().line, tokens_.current().column); }

  void Complain(const Place& place, std::string what) { faults_->push_back({place, path_, std::move(what)}); }

  // For braces: once they are wrong, what follows is more likely to be misread than wrong.
  void Break(const Place& place, std::string what) {
    if (sound_) Complain(place, std::move(what));
    sound_ = false;
  }

  std::string Got() {
    if (AtEnd()) return "got the end of the text";
    return LookingAt(Tokenizer::TYPE_STRING) ? absl::StrCat("got ", Token()) : absl::StrCat("got \"", Token(), "\"");
  }

  // Fields up to `closer`, or to the end of the text where it is empty.
  void ReadFields(Message* message, Said* said, absl::string_view closer, const Place& open) {
    const size_t before = faults_->size();
    while (true) {
      if (AtEnd() && closer.empty()) return;
      if (AtEnd()) {
        // What was read as part of this message was most likely meant for another.
        if (sound_) faults_->resize(before);
        return Break(open, absl::StrCat("this message is never closed with '", closer, "'"));
      }
      if (!closer.empty() && TryConsume(closer)) return;
      if (LookingAt(Tokenizer::TYPE_IDENTIFIER)) {
        ReadField(message, said);
      } else if (AtClosing()) {
        Break(Here(), absl::StrCat("'", Token(), "' closes nothing"));
        tokens_.Next();
      } else {
        Complain(Here(), absl::StrCat("needs the name of a field, ", Got()));
        while (!AtEnd() && !LookingAt(Tokenizer::TYPE_IDENTIFIER) && !AtClosing()) Skip();
      }
    }
  }

  void ReadField(Message* message, Said* said) {
    const Place place = Here();
    const std::string name = Token();
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
    tokens_.Next();
    if (field == nullptr) {
      std::vector<std::string> permitted;
      said->meant.push_back(Meant(name, *message->GetDescriptor(), &permitted));
      Complain(place, absl::StrCat("no field \"", name, "\"; ", Permitted(name, permitted),
                                   said->meant.back().empty() ? Elsewhere(name, *message->GetDescriptor()) : ""));
      TryConsume(":");
      SkipValue();
    } else {
      ReadKnownField(field, place, message, said);
    }
    if (!TryConsume(";")) TryConsume(",");
  }

  void ReadKnownField(const FieldDescriptor* field, const Place& place, Message* message, Said* said) {
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!TryConsume(":") && !nested && !LookingAt("{") && !LookingAt("<")) {
      Complain(Here(), absl::StrCat("':' is missing after \"", field->name(), "\""));
    }
    // What must not be there is read all the same, into a message of its own, for the faults inside it.
    std::string surplus;
    if (!field->is_repeated()) {
      const OneofDescriptor* oneof = field->containing_oneof();
      if (const Said* first = said->Find(field->number(), 0)) {
        surplus = absl::StrCat("\"", field->name(), "\" is set twice",
                               place_ == nullptr ? absl::StrCat("; first in line ", first->place.line) : "");
      } else if (oneof != nullptr && message->GetReflection()->HasOneof(*message, oneof)) {
        surplus = absl::StrCat("\"", field->name(), "\" and \"",
                               message->GetReflection()->GetOneofFieldDescriptor(*message, oneof)->name(),
                               "\" exclude each other; leave one of them out");
      }
    }
    if (surplus.empty()) return ReadValues(field, place, message, said);
    Complain(place, surplus);
    const std::unique_ptr<Message> other(message->New());
    Said said_of_other;
    ReadValues(field, place, other.get(), &said_of_other);
  }

  // One value, or a list in brackets.
  void ReadValues(const FieldDescriptor* field, const Place& place, Message* message, Said* said) {
    if (!field->is_repeated() || !TryConsume("[")) return ReadOne(field, place, message, said);
    if (TryConsume("]")) return;
    while (true) {
      ReadOne(field, Here(), message, said);
      if (TryConsume("]")) return;
      if (TryConsume(",")) continue;
      Complain(Here(), absl::StrCat("needs ',' or ']' in the list \"", field->name(), "\", ", Got()));
      while (!AtEnd() && !AtClosing()) Skip();
      TryConsume("]");
      return;
    }
  }

  void ReadOne(const FieldDescriptor* field, const Place& place, Message* message, Said* said) {
    const Reflection* reflection = message->GetReflection();
    const int index = field->is_repeated() ? reflection->FieldSize(*message, field) : -1;
    Said& own = said->fields[{field->number(), index < 0 ? 0 : index}];
    own = Said();
    own.place = place;
    path_.push_back({field, index});
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      if (absl::optional<std::string> what = ReadScalar(field, message)) Complain(place, *std::move(what));
    } else if (LookingAt("{") || LookingAt("<")) {
      const Place open = Here();
      const absl::string_view closer = LookingAt("{") ? "}" : ">";
      tokens_.Next();
      ReadFields(index < 0 ? reflection->MutableMessage(message, field) : reflection->AddMessage(message, field), &own,
                 closer, open);
    } else {
      Complain(place, absl::StrCat("needs a message, ", field->name(), " { ... }, ", Got()));
      SkipValue();
    }
    path_.pop_back();
  }

  // The value, or what is wrong with it.
  absl::optional<std::string> ReadScalar(const FieldDescriptor* field, Message* message) {
    const bool negative = TryConsume("-");
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return ReadInteger<int32_t>(field, negative, message, &Reflection::SetInt32, &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return ReadInteger<int64_t>(field, negative, message, &Reflection::SetInt64, &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return ReadInteger<uint32_t>(field, negative, message, &Reflection::SetUInt32, &Reflection::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return ReadInteger<uint64_t>(field, negative, message, &Reflection::SetUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        return ReadReal(field, negative, message);
      case FieldDescriptor::CPPTYPE_BOOL:
        return ReadBool(field, negative, message);
      case FieldDescriptor::CPPTYPE_ENUM:
        return ReadEnum(field, negative, message);
      case FieldDescriptor::CPPTYPE_STRING:
        return ReadString(field, negative, message);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return "is no scalar";
  }

  template <typename T, typename Value>
  void Put(const FieldDescriptor* field, Message* message,
           void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
           void (Reflection::*add)(Message*, const FieldDescriptor*, T) const, Value&& value) {
    (message->GetReflection()->*(field->is_repeated() ? add : set))(message, field, std::forward<Value>(value));
  }

  template <typename T>
  absl::optional<std::string> ReadInteger(const FieldDescriptor* field, bool negative, Message* message,
                                          void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
                                          void (Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
    if (!LookingAt(Tokenizer::TYPE_INTEGER)) return Refuse("an integer", negative);
    const std::string text = absl::StrCat(negative ? "-" : "", Token());
    uint64_t magnitude = 0;
    const uint64_t most = static_cast<uint64_t>(std::numeric_limits<T>::max()) + (negative ? 1 : 0);
    const bool fits = Tokenizer::ParseInteger(Token(), most, &magnitude) && (std::is_signed_v<T> || !negative);
    tokens_.Next();
    if (!fits) return absl::StrCat(text, " is not in ", RangeText(*field));
    Put(field, message, set, add, static_cast<T>(negative ? ~magnitude + 1 : magnitude));
    return absl::nullopt;
  }

  absl::optional<std::string> ReadReal(const FieldDescriptor* field, bool negative, Message* message) {
    double value = 0;
    const std::string word = absl::AsciiStrToLower(Token());
    const bool other_base = LookingAt(Tokenizer::TYPE_INTEGER) && Token().size() > 1 && Token()[0] == '0';
    if ((LookingAt(Tokenizer::TYPE_INTEGER) && !other_base) || LookingAt(Tokenizer::TYPE_FLOAT)) {
      value = Tokenizer::ParseFloat(Token());
    } else if (LookingAt(Tokenizer::TYPE_IDENTIFIER) && (word == "inf" || word == "infinity")) {
      value = std::numeric_limits<double>::infinity();
    } else if (LookingAt(Tokenizer::TYPE_IDENTIFIER) && word == "nan") {
      value = std::numeric_limits<double>::quiet_NaN();
    } else {
      return Refuse("a decimal number", negative);
    }
    tokens_.Next();
    if (negative) value = -value;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      Put<double>(field, message, &Reflection::SetDouble, &Reflection::AddDouble, value);
    } else {
      Put<float>(field, message, &Reflection::SetFloat, &Reflection::AddFloat, static_cast<float>(value));
    }
    return absl::nullopt;
  }

  absl::optional<std::string> ReadBool(const FieldDescriptor* field, bool negative, Message* message) {
    const std::string& word = Token();
    uint64_t number = 2;
    if (LookingAt(Tokenizer::TYPE_INTEGER)) {
      if (!Tokenizer::ParseInteger(word, 1, &number)) number = 2;
    } else if (LookingAt(Tokenizer::TYPE_IDENTIFIER)) {
      if (word == "true" || word == "True" || word == "t") number = 1;
      if (word == "false" || word == "False" || word == "f") number = 0;
    }
    if (negative || number == 2) return Refuse("true or false", negative);
    tokens_.Next();
    Put<bool>(field, message, &Reflection::SetBool, &Reflection::AddBool, number == 1);
    return absl::nullopt;
  }

  absl::optional<std::string> ReadEnum(const FieldDescriptor* field, bool negative, Message* message) {
    std::vector<std::string> names;
    for (int i = 0; i < field->enum_type()->value_count(); ++i) names.push_back(field->enum_type()->value(i)->name());
    const EnumValueDescriptor* value = nullptr;
    uint64_t number = 0;
    if (LookingAt(Tokenizer::TYPE_IDENTIFIER)) {
      value = field->enum_type()->FindValueByName(Token());
    } else if (LookingAt(Tokenizer::TYPE_INTEGER) &&
               Tokenizer::ParseInteger(Token(), std::numeric_limits<int32_t>::max(), &number)) {
      value = field->enum_type()->FindValueByNumber(static_cast<int>(number));
    }
    if (negative || AtOpening() || AtClosing() || (value == nullptr && !OnTheSameLine())) {
      return Refuse(absl::StrCat("one of ", absl::StrJoin(names, ", ")), negative);
    }
    if (value == nullptr) {
      std::string what = absl::StrCat("no value ", Token(), "; ", Permitted(Token(), names));
      SkipValue();
      return what;
    }
    tokens_.Next();
    Put<const EnumValueDescriptor*>(field, message, &Reflection::SetEnum, &Reflection::AddEnum, value);
    return absl::nullopt;
  }

  absl::optional<std::string> ReadString(const FieldDescriptor* field, bool negative, Message* message) {
    std::string value;
    if (bare_strings_ && !negative && LookingAt(Tokenizer::TYPE_IDENTIFIER)) {
      value = Token();
      tokens_.Next();
    } else if (negative || !LookingAt(Tokenizer::TYPE_STRING)) {
      return Refuse("a string in quotes", negative);
    } else {
      while (LookingAt(Tokenizer::TYPE_STRING)) {
        Tokenizer::ParseStringAppend(Token(), &value);
        tokens_.Next();
      }
    }
    Put<std::string>(field, message, &Reflection::SetString, &Reflection::AddString, std::move(value));
    return absl::nullopt;
  }

  std::string Refuse(absl::string_view needed, bool negative) {
    std::string what = absl::StrCat("needs ", needed, ", ");
    if (AtEnd() || AtClosing() || !OnTheSameLine()) {
      absl::StrAppend(&what, "got nothing");
    } else {
      absl::StrAppend(&what, negative ? absl::StrCat("got \"-", Token(), "\"") : Got());
    }
    SkipValue();
    return what;
  }

  bool OnTheSameLine() { return tokens_.current().line == tokens_.previous().line; }

  // Skips what looks like a value. A word in the next line is the name of the next field, and the value is missing.
  void SkipValue() {
    if (AtOpening()) return Skip();
    if (AtEnd() || AtClosing() || !OnTheSameLine()) return;
    TryConsume("-");
    if (LookingAt(Tokenizer::TYPE_STRING)) {
      while (LookingAt(Tokenizer::TYPE_STRING)) tokens_.Next();
    } else if (!LookingAt(Tokenizer::TYPE_SYMBOL)) {
      tokens_.Next();
    }
  }

  // Skips a token, or all from an opening bracket to the one that closes it.
  void Skip() {
    const Place open = Here();
    int depth = 0;
    do {
      if (AtEnd()) {
        if (depth > 0) Break(open, "this bracket is never closed");
        return;
      }
      if (AtOpening()) ++depth;
      if (AtClosing()) --depth;
      tokens_.Next();
    } while (depth > 0);
  }

  google::protobuf::io::ArrayInputStream input_;
  Tokenizer tokens_;
  const Place* place_;  // of everything, or null
  FieldPath path_;      // of the message or value that is being read
  std::vector<Fault>* faults_;
  bool bare_strings_ = false;
  bool sound_ = true;
};

}  // namespace

bool ReadMessage(absl::string_view text, Message* message, Said* said, std::vector<Fault>* faults) {
  return Reader(text, nullptr, {}, faults).ReadWhole(message, said);
}

bool ReadValue(absl::string_view text, const FieldDescriptor* field, const Place& place, const FieldPath& path,
               Message* message, Said* said, std::vector<Fault>* faults) {
  const absl::string_view bare = absl::StripAsciiWhitespace(text);
  const bool quoted = absl::StartsWith(bare, "\"") || absl::StartsWith(bare, "'") ||
                      (field->is_repeated() && absl::StartsWith(bare, "["));
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING || quoted) {
    return Reader(text, &place, path, faults).ReadOnly(field, message, said);
  }
  const google::protobuf::Reflection* reflection = message->GetReflection();
  if (field->is_repeated()) {
    reflection->AddString(message, field, std::string(bare));
  } else {
    reflection->SetString(message, field, std::string(bare));
  }
  said->fields[{field->number(), 0}].place = place;
  return true;
}

}  // namespace retort::pipelines
