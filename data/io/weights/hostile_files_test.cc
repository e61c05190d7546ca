// Files that want to do harm: each is refused with its path and its fault, none is executed, and none makes the reader
// allocate 64 MB. Worth most with --config=asan and --config=ubsan.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/weights/testing_files.h"
#include "retort/data/io/weights/weight_file.h"

namespace {

// What operator new has given away and not got back, and the most there was.
size_t allocated = 0;
size_t peak = 0;

}  // namespace

#ifndef __SANITIZE_ADDRESS__  // whose own allocator these would be mixed with; then memory is not measured

void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  allocated += malloc_usable_size(memory);
  peak = std::max(peak, allocated);
  return memory;
}

void operator delete(void* memory) noexcept {
  if (memory != nullptr) allocated -= malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

#endif

namespace retort::data {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMostMemory = size_t{64} << 20;

struct Hostile {
  std::string name;
  std::string bytes;
  std::string message;  // within the error
};

// Where the commands of malicious pickles would leave a trace.
std::string Trace() { return ::testing::TempDir() + "/executed"; }

void ExpectRefused(const Hostile& file) {
  const std::string path = ::testing::TempDir() + "/hostile";
  unlink(path.c_str());
  {
    const auto writer = AtomicFile::Create(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append(file.bytes).ok() && (*writer)->Commit().ok());
  }
  const size_t before = allocated;
  peak = allocated;
  absl::Status status;
  {
    const absl::StatusOr<WeightFile> opened = WeightFile::Open(path);
    status = opened.ok() ? opened->Verify() : opened.status();
  }
  EXPECT_LT(peak - before, kMostMemory) << file.name;
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << file.name << ": " << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path)) << file.name;
  EXPECT_THAT(std::string(status.message()), HasSubstr(file.message)) << file.name;
  EXPECT_LT(status.message().size(), 4000u) << file.name;
  EXPECT_NE(access(Trace().c_str(), F_OK), 0) << file.name << " was executed";
}

// safetensors

std::string Entry(const std::string& dtype, const std::string& shape, uint64_t begin, uint64_t end) {
  return absl::StrCat("{\"dtype\":\"", dtype, "\",\"shape\":[", shape, "],\"data_offsets\":[", begin, ",", end, "]}");
}

std::vector<Hostile> Safetensors() {
  const std::string four = Entry("U8", "4", 0, 4);
  const auto file = [](const std::string& body, const std::string& data) {
    return MakeSafetensors(absl::StrCat("{", body, "}"), data);
  };
  std::vector<Hostile> files = {
      {"header past 2^63", LittleEndian(uint64_t{1} << 63, 8) + "{}", "neither"},
      {"header of 2^40", LittleEndian(uint64_t{1} << 40, 8) + "{}", "claims a header"},
      {"header past the end", LittleEndian(1000, 8) + "{}", "claims a header of 1000 bytes, but has 2"},
      {"name twice", file(absl::StrCat("\"t\":", four, ",\"t\":", four), "abcd"), "occurs twice"},
      {"metadata twice", file(R"("__metadata__":{},"__metadata__":{})", ""), "occurs twice"},
      {"metadata key twice", file(R"("__metadata__":{"a":"1","a":"2"})", ""), "occurs twice"},
      {"field twice", file(R"("t":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]})", "abcd"), "twice"},
      {"hole at the start", file(absl::StrCat("\"t\":", Entry("U8", "3", 1, 4)), "abcd"), "end at 0"},
      {"hole", file(absl::StrCat("\"a\":", Entry("U8", "1", 0, 1), ",\"b\":", Entry("U8", "2", 2, 4)), "abcd"),
       "end at 1"},
      {"overlap", file(absl::StrCat("\"a\":", Entry("U8", "3", 0, 3), ",\"b\":", Entry("U8", "2", 2, 4)), "abcd"),
       "end at 3"},
      {"same range", file(absl::StrCat("\"a\":", four, ",\"b\":", four), "abcd"), "end at 4"},
      {"trailer", file(absl::StrCat("\"t\":", four), "abcdPK\x03\x04"), "the tensors end at 4"},
      {"short data", file(absl::StrCat("\"t\":", four), "abc"), "the data end at 3"},
      {"offsets past 2^63", file(absl::StrCat("\"t\":", Entry("U8", "4", 0, uint64_t{1} << 63)), "abcd"), "2^63"},
      {"offsets of 2^62", file(absl::StrCat("\"t\":", Entry("U8", "4", 0, uint64_t{1} << 62)), "abcd"),
       "the data end at 4"},
      {"offsets backwards", file(absl::StrCat("\"t\":", Entry("U8", "4", 4, 0)), "abcd"), "end at 0"},
      {"shape overflows", file(absl::StrCat("\"t\":", Entry("F64", "4611686018427387905,4", 0, 4)), "abcd"),
       "does not fit"},
      {"shape overflows behind 0", file(absl::StrCat("\"t\":", Entry("F64", "0,4611686018427387905,4", 0, 0)), ""),
       "does not fit"},
      {"half a byte", file(absl::StrCat("\"t\":", Entry("F4", "3", 0, 1)), "a"), "does not fit"},
      {"unknown type", file(absl::StrCat("\"t\":", Entry("F7", "4", 0, 4)), "abcd"), "not among"},
      {"shape as text", file(R"("t":{"dtype":"U8","shape":"4","data_offsets":[0,4]})", "abcd"), "where numbers"},
      {"tensor as array", file(R"("t":["U8",[4],[0,4]])", "abcd"), "an array where none may be"},
      {"deep arrays", file("\"t\":" + std::string(1 << 20, '['), ""), "an array where none may be"},
      {"deep objects", file("\"t\":{\"shape\":{", ""), "an object where none may be"},
      {"no JSON", file("\"t\":", ""), "not UTF-8 JSON"},
      {"not UTF-8", file("\"\xc3\":" + four, "abcd"), "not UTF-8 JSON"},
      {"NUL", file(std::string("\"t\0\":", 5) + four, "abcd"), "NUL"},
  };
  for (const char* odd : {"-1", "1.5", "1e3", "null", "true", "[4]", "18446744073709551616", "{}", "\"4\""}) {
    files.push_back(
        {absl::StrCat("extent ", odd), file(absl::StrCat("\"t\":", Entry("U8", odd, 0, 4)), "abcd"), "\"t\""});
  }
  return files;
}

// zip

std::vector<Hostile> Zips() {
  const std::string good = PickleOf(PickleDict({{"x", PickleTensor({})}}));
  const ZipEntry pickle = {"archive/data.pkl", good}, data = {"archive/data/0", "1234"};
  std::vector<Hostile> files;
  const auto add = [&](const std::string& name, const std::vector<ZipEntry>& entries, const ZipEnd& end,
                       const std::string& message) {
    files.push_back({name, MakeZip(entries, end), message});
  };
  const auto with = [&](const std::string& name, const std::function<void(ZipEntry*)>& change,
                        const std::string& message) {
    for (const bool first : {true, false}) {
      ZipEntry a = pickle, b = data;
      change(first ? &a : &b);
      add(absl::StrCat(name, first ? " of the pickle" : " of a storage"), {a, b}, {}, message);
      add(absl::StrCat(name, first ? " of the pickle" : " of a storage", ", zip64"), {a, b}, {.zip64_fields = true},
          message);
    }
  };
  with(
      "deflated", [](ZipEntry* entry) { entry->method = 8; }, "deflate");
  with(
      "method 99", [](ZipEntry* entry) { entry->method = 99; }, "method 99");
  with(
      "encrypted", [](ZipEntry* entry) { entry->flags |= 1; }, "encrypted");
  with(
      "on another disk", [](ZipEntry* entry) { entry->disk = 1; }, "another disk");
  with(
      "wrong CRC", [](ZipEntry* entry) { entry->crc32 = 7; }, "CRC-32");
  with(
      "size of 2^31", [](ZipEntry* entry) { entry->size = uint64_t{1} << 31; }, "runs into");
  with(
      "offset beyond the file", [](ZipEntry* entry) { entry->offset = 1 << 20; }, "beyond the records");
  with(
      "offset of the other", [](ZipEntry* entry) { entry->offset = entry->bytes.size() == 4 ? 0 : 1; }, "record");
  with(
      "another name inside", [](ZipEntry* entry) { entry->local_name = "archive/data.pkX"; }, "another name");
  for (const uint64_t huge : {uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0}}) {
    ZipEntry size = data, offset = data;
    size.size = offset.offset = huge;
    add(absl::StrCat("size ", huge), {pickle, size}, {.zip64_fields = true}, "runs into");
    add(absl::StrCat("offset ", huge), {pickle, offset}, {.zip64_fields = true}, "beyond the records");
    add(absl::StrCat("records ", huge), {pickle, data}, {.records = huge}, "records");
    add(absl::StrCat("directory of ", huge), {pickle, data}, {.size = huge}, "directory");
    add(absl::StrCat("directory at ", huge), {pickle, data}, {.offset = huge}, "directory");
  }
  add("name twice", {pickle, data, data}, {}, "occurs twice");
  add("two pickles", {pickle, data, {"other/data.pkl", good}}, {}, "two records data.pkl");
  add("no pickle", {data}, {}, "without data.pkl");
  add("nothing", {}, {}, "neither");
  add("one record more", {pickle, data}, {.records = 3}, "claims 3 records");
  add("one record less", {pickle, data}, {.records = 1}, "behind its directory");
  add("a million records", {pickle, data}, {.records = 1'000'000}, "claims 1000000 records");
  add("no zip64 where needed", {pickle, {.name = "archive/data/0", .bytes = "1234", .size = 0xffffffff}}, {}, "zip64");
  add("big-endian", {pickle, data, {"archive/byteorder", "big"}}, {}, "\"big\"");
  add("TorchScript", {pickle, data, {"archive/constants.pkl", good}}, {}, "TorchScript");
  const std::string zip = MakeZip({pickle, data});
  files.push_back({"data in front", zip.substr(0, 30) + "x" + zip.substr(30), ""});
  files.push_back({"data behind", zip + "x", "its end is missing"});
  files.push_back(
      {"locator elsewhere", std::string(zip).replace(zip.find("PK\x06\x07") + 8, 8, 8, '\xff'), "zip64 end"});
  files.push_back({"local header overwritten", std::string(zip).replace(0, 10, "PK\x03\x04XXXXXX"), "two headers"});
  return files;
}

// pickles

std::string PthOf(const std::string& value) { return MakePth(PickleOf(value), {"1234"}); }

std::vector<Hostile> Pickles() {
  const std::string command = PickleText(absl::StrCat("touch ", Trace()));
  const std::string system = PickleGlobal("posix", "system"), tuple = absl::StrCat("(", command, "t");
  std::vector<Hostile> files;
  const auto add = [&](const std::string& name, const std::string& value, const std::string& message) {
    files.push_back({name, PthOf(value), message});
  };
  // What would be called, by every opcode that imports or calls.
  for (const char* name : {"posix system",
                           "os system",
                           "os popen",
                           "subprocess Popen",
                           "subprocess check_output",
                           "builtins eval",
                           "builtins exec",
                           "__builtin__ eval",
                           "__builtin__ getattr",
                           "builtins __import__",
                           "builtins compile",
                           "builtins open",
                           "importlib import_module",
                           "runpy _run_code",
                           "pickle loads",
                           "_pickle loads",
                           "marshal loads",
                           "types CodeType",
                           "types FunctionType",
                           "operator attrgetter",
                           "functools partial",
                           "shutil rmtree",
                           "socket socket",
                           "ctypes CDLL",
                           "webbrowser open",
                           "torch load",
                           "torch.storage _load_from_bytes",
                           "torch.hub load",
                           "torch.jit load",
                           "torch._utils _rebuild_sparse_tensor",
                           "torch._utils _rebuild_wrapper_subclass",
                           "torch._tensor _rebuild_from_type_v2",
                           "torch.nn.modules.linear Linear",
                           "numpy.core.multiarray _reconstruct",
                           "numpy dtype",
                           "collections defaultdict",
                           "argparse Namespace",
                           "__main__ Net",
                           "torch FloatStorageX",
                           "torch.FloatStorage ",
                           "torch Tensor",
                           "torch.nn.parameter Parameter",
                           "_codecs encode"}) {
    const std::string text(name);
    const size_t space = text.find(' ');
    const std::string module = text.substr(0, space), member = text.substr(space + 1);
    const std::string shown = absl::StrCat("imports ", module, ".", member);
    add("GLOBAL and REDUCE of " + text, PickleGlobal(module, member) + tuple + "R", shown);
  }
  add("GLOBAL alone", system, "imports posix.system");
  add("STACK_GLOBAL", PickleText("posix") + PickleText("system") + "\x93" + tuple + "R", "STACK_GLOBAL");
  add("INST", "(" + command + "iposix\nsystem\n", "INST");
  add("OBJ", "(" + system + command + "o", "imports");
  add("OBJ of text", "(" + command + command + "o", "OBJ");
  add("NEWOBJ", system + tuple + "\x81", "imports");
  add("NEWOBJ of a dictionary", PickleGlobal("collections", "OrderedDict") + ")\x81", "NEWOBJ");
  add("NEWOBJ_EX", PickleGlobal("collections", "OrderedDict") + ")}\x92", "NEWOBJ_EX");
  add("BUILD of an object", PickleCall("torch", "Size", {")"}) + "}b", "BUILD");
  add("BUILD with slots", PickleDict({}) + "(}}tb", "BUILD");
  add("BUILD of a class", PickleGlobal("collections", "OrderedDict") + "}b", "BUILD");
  add("EXT1", "\x82\x01", "EXT1");
  add("EXT2", "\x83\x01\x01", "EXT2");
  add("EXT4", "\x84\x01\x01\x01\x01", "EXT4");
  add("PERSID", "Pposix\n", "PERSID");
  add("BINPERSID of anything", PickleDict({{"x", command + "Q"}}), "no dictionary of tensors");
  add("REDUCE of text", command + ")R", "no global");
  add("REDUCE of a type", PickleGlobal("torch", "float32") + ")R", "calls torch.float32");
  add("REDUCE of a storage", PickleGlobal("torch", "FloatStorage") + tuple + "R", "calls torch.FloatStorage");
  add("REDUCE by memo", PickleGlobal("torch", "FloatStorage") + "q\x01" + "0", "POP");
  add("NEXT_BUFFER", "\x97", "NEXT_BUFFER");
  add("READONLY_BUFFER", "\x98", "READONLY_BUFFER");
  add("FRAME", "\x95" + LittleEndian(~uint64_t{0}, 8), "FRAME");
  add("LONG4", "\x8b" + LittleEndian(0x7fffffff, 4), "LONG4");
  add("BINUNICODE8", "\x8d" + LittleEndian(~uint64_t{0}, 8), "BINUNICODE8");
  add("BINBYTES8", "\x8e" + LittleEndian(~uint64_t{0}, 8), "BINBYTES8");
  add("BYTEARRAY8", "\x96" + LittleEndian(~uint64_t{0}, 8), "BYTEARRAY8");
  add("INT", "I1\n", "INT");
  add("text of 4 GB", "X" + LittleEndian(0xffffffff, 4) + "x", "breaks off");
  add("memo of 2^32", "Nr" + LittleEndian(0xffffffff, 4), "dictionary");
  add("list of itself",
      "]q\x01h\x01"
      "a",
      "no dictionary of tensors");
  add("dictionary of itself", absl::StrCat("}q\x01", PickleText("x"), "h\x01s"), "no dictionary of tensors");
  std::string doubled = "}q\x01";  // 2^40 paths
  for (int i = 1; i < 40; ++i) {
    absl::StrAppend(&doubled, "}(", PickleText("a"), "h", std::string(1, static_cast<char>(i)), PickleText("b"), "h",
                    std::string(1, static_cast<char>(i)), "uq", std::string(1, static_cast<char>(i + 1)));
  }
  add("dictionary of doublings", absl::StrCat("(", doubled, "t"), "no dictionary of tensors");
  std::string deep;
  for (int i = 0; i < 20000; ++i) deep = absl::StrCat(deep, "}", PickleText("x"));
  add("20,000 dictionaries in each other", absl::StrCat(deep, "}", std::string(20000, 's')),
      "no dictionary of tensors");
  files.push_back({"protocol 5", MakePth("\x80\x05N.", {}), "protocol 5"});
  files.push_back({"no pickle", MakePth("", {}), "PROTO"});
  files.push_back({"bare pickle", PickleOf(system + tuple + "R"), "a bare pickle"});
  files.push_back(
      {"stream of pickles",
       std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) + PickleOf(system + tuple + "R"),
       "before PyTorch 1.6"});
  files.push_back({"tar", "sys_info" + std::string(249, '\0') + "ustar  " + std::string(600, '\0'), "tar"});
  return files;
}

// tensors

std::vector<Hostile> Tensors() {
  constexpr int64_t kHuge = int64_t{1} << 62;
  std::vector<Hostile> files;
  const auto add = [&](const std::string& name, const PickledTensor& tensor, const std::string& message) {
    files.push_back({name, PthOf(PickleDict({{"x", PickleTensor(tensor)}})), message});
  };
  add("storage too long", {.count = 2}, "should hold 2 elements and has 4 bytes");
  add("storage too short", {.count = 0}, "should hold 0 elements");
  add("storage negative", {.count = -1}, "should hold -1");
  add("storage overflows", {.count = kHuge + 1}, "should hold");
  add("storage missing", {.key = "7"}, "\"7\" is missing");
  add("storage outside", {.key = "../../../etc/passwd"}, "is missing");
  add("storage of another type", {.storage_type = "DoubleStorage"}, "has 4 bytes");
  add("storage of an unknown type", {.storage_type = "QInt8Storage"}, "imports torch.QInt8Storage");
  add("storage is a dtype", {.storage_type = "float32"}, "not made as PyTorch makes it");
  add("offset past the end", {.offset = 1}, "leave its storage");
  add("offset negative", {.offset = -1}, "leave its storage");
  add("offset huge", {.offset = kHuge}, "leave its storage");
  add("empty at a huge offset", {.offset = kHuge, .shape = {0}}, "leave its storage");
  add("shape too long", {.shape = {2}}, "leave its storage");
  add("shape negative", {.shape = {-1}}, "leave its storage");
  add("shape overflows", {.shape = {kHuge, kHuge}, .strides = {0, 0}}, "leave its storage");
  add("shape overflows behind 0", {.shape = {0, kHuge, kHuge}, .strides = {0, 0, 0}}, "leave its storage");
  add("strides negative", {.shape = {1}, .strides = {-1}}, "leave its storage");
  add("strides overflow", {.shape = {3}, .strides = {kHuge}}, "leave its storage");
  add("strides too few", {.shape = {1, 1}, .strides = {1}}, "not made");
  add("expanded to 4 TB", {.shape = {int64_t{1} << 40}, .strides = {0}}, "is expanded to");
  add("65 dimensions", {.shape = std::vector<int64_t>(65, 1), .strides = std::vector<int64_t>(65, 1)}, "64 dimensions");
  const std::string storage = absl::StrCat(PickleTuple({PickleText("storage"), PickleGlobal("torch", "FloatStorage"),
                                                        PickleText("0"), PickleText("cpu"), PickleInteger(1)}),
                                           "Q");
  const std::string one = PickleTuple({PickleInteger(1)}), ordered = PickleCall("collections", "OrderedDict", {});
  const auto call = [&](const std::string& name, const std::string& function,
                        const std::vector<std::string>& arguments) {
    files.push_back(
        {name, PthOf(PickleDict({{"x", PickleCall("torch._utils", function, arguments)}})), "tensor \"x\": "});
  };
  const std::string two = "_rebuild_tensor_v2", three = "_rebuild_tensor_v3", parameter = "_rebuild_parameter";
  call("no arguments", two, {});
  call("five arguments", two, {storage, PickleInteger(0), one, one, "\x89"});
  call("eight arguments", two, {storage, PickleInteger(0), one, one, "\x89", ordered, "}", "}"});
  call("storage is text", two, {PickleText("0"), PickleInteger(0), one, one, "\x89", ordered});
  call("storage is a number", two, {"K\x01Q", PickleInteger(0), one, one, "\x89", ordered});
  call("storage is a short tuple", two, {PickleText("storage") + "\x85Q", PickleInteger(0), one, one, "\x89", ordered});
  call("offset is text", two, {storage, PickleText("0"), one, one, "\x89", ordered});
  call("shape is a list", two, {storage, PickleInteger(0), "]", one, "\x89", ordered});
  call("shape of floats", two,
       {storage, PickleInteger(0), std::string("G?\xf0\0\0\0\0\0\0\x85", 10), one, "\x89", ordered});
  call("conjugate", two, {storage, PickleInteger(0), one, one, "\x89", ordered, PickleDict({{"conj", "\x88"}})});
  call("dtype missing", three, {storage, PickleInteger(0), one, one, "\x89", ordered});
  call("dtype is text", three, {storage, PickleInteger(0), one, one, "\x89", ordered, PickleText("float32")});
  call("dtype of a typed storage", three,
       {storage, PickleInteger(0), one, one, "\x89", ordered, PickleGlobal("torch", "float32")});
  call("parameter of text", parameter, {PickleText("x"), "\x88", ordered});
  call("parameter of nothing", parameter, {});
  call("parameter of a size", parameter, {PickleCall("torch", "Size", {")"}), "\x88", ordered});
  files.push_back({"name twice",
                   PthOf(absl::StrCat("}(", PickleText("x"), PickleTensor({}), PickleText("x"), PickleTensor({}), "u")),
                   "occurs twice"});
  files.push_back({"a number for a name", PthOf(absl::StrCat("}(K\x05", PickleTensor({}), "u")), "the number 5"});
  files.push_back({"a list of tensors", PthOf(absl::StrCat("]", PickleTensor({}), "a")), "no dictionary of tensors"});
  return files;
}

TEST(HostileFilesTest, EachIsRefusedByName) {
  size_t count = 0;
  for (const auto& list : {Safetensors(), Zips(), Pickles(), Tensors()}) {
    for (const Hostile& file : list) ExpectRefused(file);
    count += list.size();
  }
  EXPECT_GE(count, 200u);
  RecordProperty("files", static_cast<int>(count));
}

TEST(HostileFilesTest, EveryTruncationIsRefused) {
  const std::string storage(24 << 10, 'x');
  const std::string pth =
      MakePth(PickleOf(PickleDict({{"x", PickleTensor({.count = 6 << 10, .shape = {6 << 10}})}})), {storage});
  const std::string safetensors =
      MakeSafetensors(absl::StrCat("{\"x\":", Entry("U8", "24576", 0, 24576), "}"), storage);
  for (const std::string& whole : {pth, safetensors}) {
    for (size_t size = 0; size < whole.size(); size += 512) {
      ExpectRefused({absl::StrCat("cut at ", size), whole.substr(0, size), ""});
    }
    ExpectRefused({"cut by a byte", whole.substr(0, whole.size() - 1), ""});
  }
}

// 1 MB of `unit`s, over and over up to `size`.
std::string Repeated(const std::string& unit, size_t size) {
  std::string text;
  text.reserve(size + unit.size());
  while (text.size() < size) text += unit;
  return text;
}

TEST(HostileFilesTest, LargeOnesTakeNoMemory) {
  constexpr size_t kHeader = 90'000'000, kPickle = 24 << 20;
  const auto header = [](const std::string& begin, const std::string& unit) {
    const std::string text = begin + Repeated(unit, kHeader);
    return MakeSafetensors(text, "");
  };
  ExpectRefused(
      {"two million tensors", header("{", R"("t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"), "memory"});
  ExpectRefused(
      {"tensors of many dimensions",
       header("{", absl::StrCat("\"t\":", Entry("U8", absl::StrJoin(std::vector<int>(64, 0), ","), 0, 0), ",")),
       "memory"});
  std::string metadata;
  for (int i = 0; i < 1'000'000; ++i) absl::StrAppend(&metadata, "\"", i, "\":\"\",");
  ExpectRefused({"a million lines of metadata", MakeSafetensors("{\"__metadata__\":{" + metadata, ""), "memory"});
  ExpectRefused({"a name of 90 MB", header("{\"", "x"), "bytes of text"});
  ExpectRefused({"a number of 90 MB", header("{\"t\":{\"shape\":[", "1"), "bytes of text"});
  ExpectRefused({"90 MB of space", header("{", " "), "bytes of text"});
  ExpectRefused({"names of 1 MB",
                 header("{", absl::StrCat("\"", std::string(1 << 20, 'n'),
                                          R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)")),
                 "memory"});

  const auto pth = [](const std::string& begin, const std::string& unit) {
    return PthOf(begin + Repeated(unit, kPickle));
  };
  ExpectRefused({"lists", pth("", "]"), "more than 262144"});
  ExpectRefused({"dictionaries", pth("", "}"), "more than 262144"});
  ExpectRefused({"marks", pth("", "("), "more than 262144"});
  ExpectRefused({"tuples of one", pth("N", "\x85"), "more than 262144"});
  ExpectRefused({"items of a list",
                 pth("N]q\x01",
                     "(h\x01h\x01h\x01h\x01"
                     "e"),
                 "more than 524288"});
  ExpectRefused({"copies of one value", pth("Nq\x01", "h\x01"), "more than 262144"});
  std::string memo = "N";
  for (uint32_t i = 0; i < (kPickle / 5); ++i) absl::StrAppend(&memo, "r", LittleEndian(i * 2654435761u, 4));
  ExpectRefused({"a memo of millions", PthOf(memo), "are remembered"});
  std::string tensors = "}(";
  for (int i = 0; i < 100'000; ++i) {
    absl::StrAppend(&tensors, PickleText(absl::StrCat("a name longer than a string keeps in itself ", i)),
                    i == 0 ? PickleTensor({}) + "q\x01" : "h\x01");
  }
  ExpectRefused({"100,000 names of one tensor", PthOf(tensors + "u"), "more than 65536 tensors"});
  std::string records;
  for (int i = 0; i < 200'000; ++i) records += "PK\x01\x02" + std::string(42, '\0');
  ExpectRefused({"200,000 records", MakeZip({}, {}).replace(0, 0, "PK\x03\x04" + records), ""});
}

}  // namespace
}  // namespace retort::data
