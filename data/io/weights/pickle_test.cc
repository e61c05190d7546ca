#include "retort/data/io/weights/pickle.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/weights/testing_files.h"

namespace retort::data {
namespace {

using ::testing::HasSubstr;
using Kind = Pickle::Kind;

// Permits m.name, and calls of m.call.
Pickle::Permission Permission(absl::string_view global) {
  if (global == "m\ncall") return Pickle::Permission::kCallable;
  return global == "m\nname" ? Pickle::Permission::kName : Pickle::Permission::kRefused;
}

absl::StatusOr<Pickle> Parse(const std::string& bytes) {
  return Pickle::Parse(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), Permission);
}

// The root of a sound pickle.
class Root {
 public:
  explicit Root(const std::string& value) : bytes_(PickleOf(value)), pickle_(Parse(bytes_).value()) {}

  const Pickle::Value& value() const { return pickle_[pickle_.root()]; }
  const Pickle::Value& item(size_t i) const { return pickle_[value().items[i]]; }

 private:
  const std::string bytes_;
  const Pickle pickle_;
};

// pickle.dumps(x, 2) in Python, without its first two bytes and its last.
TEST(PickleTest, IntegersOfEveryOpcode) {
  struct Case {
    std::string bytes;
    int64_t value;
  };
  for (const Case& c :
       std::vector<Case>{{std::string("K\0", 2), 0},
                         {"K\xff", 255},
                         {"M\xff\xff", 65535},
                         {"J\xff\xff\xff\xff", -1},
                         {std::string("J\0\0\0\x80", 5), -2147483648LL},
                         {std::string("\x8a\0", 2), 0},
                         {"\x8a\x01\xfe", -2},
                         {std::string("\x8a\x05\0\0\0\x80\0", 7), 2147483648LL},
                         {"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", std::numeric_limits<int64_t>::max()}}) {
    const Root root(c.bytes);
    EXPECT_EQ(root.value().kind, Kind::kInteger);
    EXPECT_EQ(root.value().integer, c.value);
  }
  EXPECT_EQ(Root(std::string("\x8a\x09\0\0\0\0\0\0\0\0\x01", 11)).value().kind, Kind::kNumber);  // 2**64
  EXPECT_EQ(Root(std::string("G?\xe0\0\0\0\0\0\0", 9)).value().kind, Kind::kNumber);             // 0.5
  EXPECT_EQ(Root("N").value().kind, Kind::kNone);
  EXPECT_EQ(Root("\x88").value().integer, 1);
  EXPECT_EQ(Root("\x89").value().kind, Kind::kBool);
}

TEST(PickleTest, Collections) {
  EXPECT_EQ(Root(")").value().items.size(), 0u);
  EXPECT_EQ(Root("K\x01\x85").item(0).integer, 1);
  EXPECT_EQ(Root("K\x01K\x02\x86").item(1).integer, 2);
  EXPECT_EQ(Root("K\x01K\x02K\x03\x87").item(2).integer, 3);
  EXPECT_EQ(Root("(K\x01K\x02K\x03K\x04t").item(3).integer, 4);
  const Root list(
      "](K\x01K\x02"
      "eNa");
  EXPECT_EQ(list.value().kind, Kind::kList);
  ASSERT_EQ(list.value().items.size(), 3u);
  EXPECT_EQ(list.item(2).kind, Kind::kNone);
  const Root dict(absl::StrCat("}(", PickleText("a"), "K\x01K\x07K\x02u", PickleText("b"), "Ns"));
  EXPECT_EQ(dict.value().kind, Kind::kDict);
  ASSERT_EQ(dict.value().items.size(), 6u);
  EXPECT_EQ(dict.item(0).text, "a");
  EXPECT_EQ(dict.item(2).integer, 7);
  EXPECT_EQ(dict.item(4).text, "b");
}

TEST(PickleTest, RemembersValues) {
  const Root root(absl::StrCat("(", PickleText("x"), "q\x05", "K\x01r", LittleEndian(70000, 4), "h\x05j",
                               LittleEndian(70000, 4), "t"));
  EXPECT_EQ(root.item(2).text, "x");
  EXPECT_EQ(root.item(3).integer, 1);
  const Root cycle(
      "]q\x01h\x01"
      "a");  // a list that holds itself
  EXPECT_EQ(&cycle.item(0), &cycle.value());
}

TEST(PickleTest, CallsAreKeptAsData) {
  const Root call(PickleCall("m", "call", {PickleInteger(1), PickleGlobal("m", "name")}));
  EXPECT_EQ(call.value().kind, Kind::kCall);
  EXPECT_EQ(call.item(0).text, "m\ncall");
  EXPECT_EQ(call.item(1).items.size(), 2u);
  EXPECT_EQ(Root("K\x01Q").value().kind, Kind::kPersistent);
  const Root ordered(PickleCall("collections", "OrderedDict", {}) + PickleText("k") + "Ns}b");
  EXPECT_EQ(ordered.value().kind, Kind::kDict);
  EXPECT_EQ(ordered.value().items.size(), 2u);
}

struct Fault {
  std::string name;
  std::string bytes;
  std::string message;
};

class PickleFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(PickleFaultTest, IsNamed) {
  const absl::Status status = Parse(GetParam().bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

std::vector<Fault> Faults() {
  return {
      {"Nothing", "", "does not begin"},
      {"NoProto", "N.", "does not begin"},
      {"Protocol0", std::string("\x80\0N.", 4), "protocol 0"},
      {"Protocol4", "\x80\x04N.", "protocol 4"},
      {"SecondProto", PickleOf("\x80\x02N"), "PROTO in the middle"},
      {"NoStop", "\x80\x02N", "byte 3: it breaks off"},
      {"Trailer", PickleOf("N") + "x", "1 bytes behind"},
      {"EmptyStack", PickleOf(""), "0 values"},
      {"TwoValues", PickleOf("NN"), "2 values"},
      {"OpenMark", PickleOf("N("), "1 values"},
      {"NoMark", PickleOf("Nt"), "never set"},
      {"TupleOfNothing", PickleOf("\x85"), "more than is on its stack"},
      {"TupleAcrossAMark", PickleOf("N(\x85"), "more than is on its stack"},
      {"AppendToTuple", PickleOf(")Na"), "no list"},
      {"AppendToDict", PickleOf("}Na"), "no list"},
      {"SetItemOfList", PickleOf("]NNs"), "no dictionary"},
      {"OddItems", PickleOf("}(NNNu"), "a key without a value"},
      {"KeyIsNone", PickleOf("}NNs"), "neither text nor an integer"},
      {"KeyIsAList", PickleOf("}]Ns"), "neither text nor an integer"},
      {"TornText",
       PickleOf("X\xff\xff\xff\xff"
                "abc"),
       "breaks off"},
      {"TornInteger", "\x80\x02J\x01", "breaks off"},
      {"TornGlobal",
       "\x80\x02"
       "cos\nsystem",
       "breaks off"},
      {"LongGlobal", PickleOf("c" + std::string(1000, 'x') + "\ny\n"), "more than 256"},
      {"UnknownMemo", PickleOf("h\x01"), "never remembered"},
      {"MemoOfNothing", PickleOf("q\x01"), "more than is on its stack"},
      {"Import", PickleOf(PickleGlobal("os", "system")), "imports os.system, which is not permitted"},
      {"CallOfAName", PickleOf(PickleCall("m", "name", {})), "calls m.name"},
      {"CallOfText", PickleOf(PickleText("os") + ")R"), "no global"},
      {"CallWithAList", PickleOf(PickleGlobal("m", "call") + "]R"), "without a tuple"},
      {"OrderedDictOfItems", PickleOf(PickleCall("collections", "OrderedDict", {"]"})), "with arguments"},
      {"BuildOfACall", PickleOf(PickleCall("m", "call", {}) + "}b"), "BUILD"},
      {"BuildWithATuple", PickleOf("})b"), "BUILD"},
      {"UnknownOpcode", PickleOf("\xff"), "unknown opcode 0xff"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, PickleFaultTest, ::testing::ValuesIn(Faults()),
                         [](const auto& test) { return test.param.name; });

// Every byte that is none of the 29 opcodes that are read is refused by the opcode's name, or as unknown.
TEST(PickleTest, NoOtherOpcodeIsRead) {
  const std::string read = std::string("(.NJKMGX]ae)t}suhjqrcRbQ") + "\x8a\x88\x89\x85\x86\x87\x80";
  int refused = 0;
  for (int code = 0; code < 256; ++code) {
    if (read.find(static_cast<char>(code)) != std::string::npos) continue;
    const absl::Status status = Parse(PickleOf(absl::StrCat("NNN", std::string(8, static_cast<char>(code))))).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << code;
    EXPECT_THAT(std::string(status.message()), HasSubstr("byte 5: ")) << code;
    EXPECT_THAT(std::string(status.message()), HasSubstr("opcode")) << code;
    ++refused;
  }
  EXPECT_EQ(refused, 256 - 31);
}

}  // namespace
}  // namespace retort::data
