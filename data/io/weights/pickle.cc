#include "retort/data/io/weights/pickle.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

constexpr size_t kMostValues = 1 << 18;
constexpr size_t kMostItems = 1 << 19;
constexpr size_t kDeepestStack = 1 << 18;
constexpr size_t kLongestGlobal = 256;
constexpr absl::string_view kOrderedDict = "collections\nOrderedDict";

enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
  kProto = 0x80,
};

struct RefusedOp {
  uint8_t code;
  absl::string_view name;
};

// Opcodes of all protocols that no dictionary of tensors needs.
constexpr RefusedOp kRefused[] = {
    {'I', "INT"},           {'L', "LONG"},
    {0x8b, "LONG4"},        {'S', "STRING"},
    {'T', "BINSTRING"},     {'U', "SHORT_BINSTRING"},
    {'B', "BINBYTES"},      {'C', "SHORT_BINBYTES"},
    {0x8e, "BINBYTES8"},    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},  {0x98, "READONLY_BUFFER"},
    {'V', "UNICODE"},       {0x8c, "SHORT_BINUNICODE"},
    {0x8d, "BINUNICODE8"},  {'F', "FLOAT"},
    {'l', "LIST"},          {'d', "DICT"},
    {0x8f, "EMPTY_SET"},    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},    {'0', "POP"},
    {'2', "DUP"},           {'1', "POP_MARK"},
    {'g', "GET"},           {'p', "PUT"},
    {0x94, "MEMOIZE"},      {0x82, "EXT1"},
    {0x83, "EXT2"},         {0x84, "EXT4"},
    {0x93, "STACK_GLOBAL"}, {'i', "INST"},
    {'o', "OBJ"},           {0x81, "NEWOBJ"},
    {0x92, "NEWOBJ_EX"},    {0x95, "FRAME"},
    {'P', "PERSID"},
};

std::string OpName(uint8_t code) {
  for (const RefusedOp& op : kRefused) {
    if (op.code == code) return absl::StrCat("opcode ", op.name);
  }
  return absl::StrCat("unknown opcode 0x", absl::Hex(code, absl::kZeroPad2));
}

}  // namespace

class PickleMachine {
 public:
  PickleMachine(absl::Span<const uint8_t> bytes, absl::FunctionRef<Pickle::Permission(absl::string_view)> permission)
      : bytes_(bytes), permission_(permission) {}

  absl::StatusOr<Pickle> Run() {
    if (bytes_.size() < 2 || bytes_[0] != kProto) return Damaged("does not begin with the opcode PROTO");
    while (!stopped_) {
      at_ = position_;
      uint8_t code;
      RETORT_RETURN_IF_ERROR(Number(&code));
      RETORT_RETURN_IF_ERROR(Step(code));
    }
    if (position_ != bytes_.size()) return Damaged(bytes_.size() - position_, " bytes behind the opcode STOP");
    return std::move(pickle_);
  }

 private:
  using Id = Pickle::Id;
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

  template <typename... Parts>
  absl::Status Damaged(const Parts&... parts) const {
    return absl::DataLossError(absl::StrCat("pickle, byte ", at_, ": ", parts...));
  }

  // Reading

  absl::Status Take(uint64_t size, absl::string_view* out) {
    if (size > bytes_.size() - position_) return Damaged("it breaks off");
    *out = absl::string_view(reinterpret_cast<const char*>(bytes_.data()) + position_, size);
    position_ += size;
    return absl::OkStatus();
  }

  // A little-endian number.
  template <typename T>
  absl::Status Number(T* out) {
    absl::string_view text;
    RETORT_RETURN_IF_ERROR(Take(sizeof(T), &text));
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(T); ++i) number |= uint64_t{static_cast<uint8_t>(text[i])} << (8 * i);
    *out = static_cast<T>(number);
    return absl::OkStatus();
  }

  // "module\nname\n" without its end.
  absl::Status GlobalName(absl::string_view* out) {
    const size_t begin = position_;
    for (int newlines = 0; newlines < 2;) {
      if (position_ == bytes_.size()) return Damaged("it breaks off");
      if (position_ - begin > kLongestGlobal) return Damaged("a global of more than ", kLongestGlobal, " characters");
      if (bytes_[position_++] == '\n') ++newlines;
    }
    *out = absl::string_view(reinterpret_cast<const char*>(bytes_.data()) + begin, position_ - begin - 1);
    return absl::OkStatus();
  }

  // Values and the stack. Every item counts, so that lists of nothing cannot fill the memory.

  absl::Status Push(Id id) {
    if (stack_.size() == kDeepestStack) return Damaged("more than ", kDeepestStack, " values wait on its stack");
    stack_.push_back(id);
    return absl::OkStatus();
  }

  absl::Status Make(Value value) {
    if (pickle_.values_.size() == kMostValues) return Damaged("more than ", kMostValues, " values");
    items_ += value.items.size();
    if (items_ > kMostItems) return Damaged("more than ", kMostItems, " items");
    pickle_.values_.push_back(std::move(value));
    return Push(static_cast<Id>(pickle_.values_.size() - 1));
  }

  absl::Status MakeInteger(int64_t integer, Kind kind = Kind::kInteger) { return Make({kind, integer, {}, {}}); }

  // The values above the last mark may be taken, not those below.
  size_t Available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  absl::Status Pop(size_t count, std::vector<Id>* out) {
    if (Available() < count) return Damaged("it takes more than is on its stack");
    out->assign(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return absl::OkStatus();
  }

  absl::Status PopToMark(std::vector<Id>* out) {
    if (marks_.empty()) return Damaged("it takes up to a mark that was never set");
    RETORT_RETURN_IF_ERROR(Pop(Available(), out));
    marks_.pop_back();
    return absl::OkStatus();
  }

  absl::Status MakeTuple(size_t count) {
    std::vector<Id> items;
    RETORT_RETURN_IF_ERROR(Pop(count, &items));
    return Make({Kind::kTuple, 0, {}, std::move(items)});
  }

  // Puts `more` at the end of the list or dictionary on top of the stack.
  absl::Status Extend(Kind kind, const std::vector<Id>& more) {
    if (Available() == 0 || pickle_.values_[stack_.back()].kind != kind) {
      return Damaged("it adds items to what is no ", kind == Kind::kList ? "list" : "dictionary");
    }
    if (kind == Kind::kDict) {
      if (more.size() % 2 != 0) return Damaged("a key without a value");
      for (size_t i = 0; i < more.size(); i += 2) {
        const Kind key = pickle_.values_[more[i]].kind;
        if (key != Kind::kText && key != Kind::kInteger) return Damaged("a key that is neither text nor an integer");
      }
    }
    items_ += more.size();
    if (items_ > kMostItems) return Damaged("more than ", kMostItems, " items");
    std::vector<Id>& items = pickle_.values_[stack_.back()].items;
    items.insert(items.end(), more.begin(), more.end());
    return absl::OkStatus();
  }

  // Opcodes

  absl::Status Step(uint8_t code) {
    std::vector<Id> items;
    switch (code) {
      case kProto:
        return Proto();
      case kStop:
        return Stop();
      case kMark:
        if (marks_.size() == kDeepestStack) return Damaged("more than ", kDeepestStack, " marks");
        marks_.push_back(stack_.size());
        return absl::OkStatus();
      case kNone:
        return Make({Kind::kNone, 0, {}, {}});
      case kNewTrue:
      case kNewFalse:
        return MakeInteger(code == kNewTrue, Kind::kBool);
      case kBinInt: {
        int32_t integer = 0;
        RETORT_RETURN_IF_ERROR(Number(&integer));
        return MakeInteger(integer);
      }
      case kBinInt1: {
        uint8_t integer = 0;
        RETORT_RETURN_IF_ERROR(Number(&integer));
        return MakeInteger(integer);
      }
      case kBinInt2: {
        uint16_t integer = 0;
        RETORT_RETURN_IF_ERROR(Number(&integer));
        return MakeInteger(integer);
      }
      case kLong1:
        return Long();
      case kBinFloat: {
        uint64_t bits;
        RETORT_RETURN_IF_ERROR(Number(&bits));
        return Make({Kind::kNumber, 0, {}, {}});
      }
      case kBinUnicode: {
        uint32_t size;
        Value value{Kind::kText, 0, {}, {}};
        RETORT_RETURN_IF_ERROR(Number(&size));
        RETORT_RETURN_IF_ERROR(Take(size, &value.text));
        return Make(std::move(value));
      }
      case kEmptyList:
        return Make({Kind::kList, 0, {}, {}});
      case kEmptyDict:
        return Make({Kind::kDict, 0, {}, {}});
      case kEmptyTuple:
        return MakeTuple(0);
      case kTuple1:
        return MakeTuple(1);
      case kTuple2:
        return MakeTuple(2);
      case kTuple3:
        return MakeTuple(3);
      case kTuple:
        RETORT_RETURN_IF_ERROR(PopToMark(&items));
        return Make({Kind::kTuple, 0, {}, std::move(items)});
      case kAppend:
        RETORT_RETURN_IF_ERROR(Pop(1, &items));
        return Extend(Kind::kList, items);
      case kAppends:
        RETORT_RETURN_IF_ERROR(PopToMark(&items));
        return Extend(Kind::kList, items);
      case kSetItem:
        RETORT_RETURN_IF_ERROR(Pop(2, &items));
        return Extend(Kind::kDict, items);
      case kSetItems:
        RETORT_RETURN_IF_ERROR(PopToMark(&items));
        return Extend(Kind::kDict, items);
      case kBinPut:
        return Put<uint8_t>();
      case kLongBinPut:
        return Put<uint32_t>();
      case kBinGet:
        return Get<uint8_t>();
      case kLongBinGet:
        return Get<uint32_t>();
      case kGlobal:
        return Global();
      case kReduce:
        return Reduce();
      case kBuild:
        return Build();
      case kBinPersId:
        RETORT_RETURN_IF_ERROR(Pop(1, &items));
        return Make({Kind::kPersistent, 0, {}, std::move(items)});
    }
    return Damaged(OpName(code), " is not permitted; a dictionary of tensors needs none. Save one with ",
                   "torch.save(model.state_dict(), path) and the default pickle_protocol");
  }

  absl::Status Proto() {
    uint8_t version;
    RETORT_RETURN_IF_ERROR(Number(&version));
    if (at_ != 0) return Damaged("opcode PROTO in the middle");
    if (version == 2) return absl::OkStatus();
    return Damaged("protocol ", static_cast<int>(version), "; only 2 is read, torch.save's default pickle_protocol");
  }

  absl::Status Stop() {
    if (stack_.size() != 1 || !marks_.empty()) return Damaged("it ends with ", stack_.size(), " values, not with one");
    pickle_.root_ = stack_.back();
    stopped_ = true;
    return absl::OkStatus();
  }

  // Two's complement, little-endian.
  absl::Status Long() {
    uint8_t size;
    absl::string_view digits;
    RETORT_RETURN_IF_ERROR(Number(&size));
    RETORT_RETURN_IF_ERROR(Take(size, &digits));
    if (size > 8) return Make({Kind::kNumber, 0, {}, {}});
    const bool negative = size > 0 && (digits.back() & 0x80) != 0;
    uint64_t integer = negative ? ~uint64_t{0} : 0;
    for (size_t i = size; i-- > 0;) integer = integer << 8 | static_cast<uint8_t>(digits[i]);
    return MakeInteger(static_cast<int64_t>(integer));
  }

  template <typename Index>
  absl::Status Put() {
    Index index;
    RETORT_RETURN_IF_ERROR(Number(&index));
    if (Available() == 0) return Damaged("it takes more than is on its stack");
    if (memo_.size() == kMostValues) return Damaged("more than ", kMostValues, " values are remembered");
    memo_[index] = stack_.back();
    return absl::OkStatus();
  }

  template <typename Index>
  absl::Status Get() {
    Index index;
    RETORT_RETURN_IF_ERROR(Number(&index));
    const auto found = memo_.find(index);
    if (found == memo_.end()) return Damaged("value ", index, " was never remembered");
    return Push(found->second);
  }

  absl::Status Global() {
    Value value{Kind::kGlobal, 0, {}, {}};
    RETORT_RETURN_IF_ERROR(GlobalName(&value.text));
    if (value.text != kOrderedDict && permission_(value.text) == Pickle::Permission::kRefused) {
      return Damaged("it imports ", absl::CHexEscape(absl::StrReplaceAll(value.text, {{"\n", "."}})),
                     ", which is not permitted; a dictionary of tensors needs no more than torch's tensors and ",
                     "storages. Nothing was executed. If you trust the file, save its tensors alone: ",
                     "torch.save(model.state_dict(), path)");
    }
    return Make(std::move(value));
  }

  absl::Status Reduce() {
    std::vector<Id> items;
    RETORT_RETURN_IF_ERROR(Pop(2, &items));
    const Value& callee = pickle_.values_[items[0]];
    const Value& arguments = pickle_.values_[items[1]];
    if (callee.kind != Kind::kGlobal) return Damaged("it calls what is no global");
    if (arguments.kind != Kind::kTuple) return Damaged("it calls a global without a tuple of arguments");
    if (callee.text == kOrderedDict) {
      if (!arguments.items.empty()) return Damaged("an OrderedDict with arguments");
      return Make({Kind::kDict, 0, {}, {}});
    }
    if (permission_(callee.text) != Pickle::Permission::kCallable) {
      return Damaged("it calls ", absl::StrReplaceAll(callee.text, {{"\n", "."}}), ", which is not permitted");
    }
    return Make({Kind::kCall, 0, {}, std::move(items)});
  }

  // A state_dict ends by setting its attribute _metadata, versions of modules, which is left out.
  absl::Status Build() {
    std::vector<Id> items;
    RETORT_RETURN_IF_ERROR(Pop(1, &items));
    if (Available() == 0 || pickle_.values_[stack_.back()].kind != Kind::kDict ||
        pickle_.values_[items[0]].kind != Kind::kDict) {
      return Damaged("opcode BUILD on anything but a dictionary is not permitted");
    }
    return absl::OkStatus();
  }

  const absl::Span<const uint8_t> bytes_;
  const absl::FunctionRef<Pickle::Permission(absl::string_view)> permission_;
  size_t position_ = 0;
  size_t at_ = 0;  // where the current opcode stands
  bool stopped_ = false;
  size_t items_ = 0;
  Pickle pickle_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;
  absl::flat_hash_map<uint32_t, Id> memo_;
};

absl::StatusOr<Pickle> Pickle::Parse(absl::Span<const uint8_t> bytes,
                                     absl::FunctionRef<Permission(absl::string_view)> permission) {
  return PickleMachine(bytes, permission).Run();
}

}  // namespace retort::data
