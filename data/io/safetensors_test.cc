#include "retort/data/io/safetensors.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/sha256.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string TestPath() {
  return ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
}

// A file of these bytes, opened.
absl::StatusOr<SafetensorsFile> OpenBytes(const std::string& bytes) {
  unlink(TestPath().c_str());  // file systems flush a file that is truncated and rewritten, which is slow
  std::ofstream(TestPath(), std::ios::binary) << bytes;
  return SafetensorsFile::Open(TestPath());
}

// The length of `header`, then the header, then `data`.
std::string Framed(const std::string& header, const std::string& data) {
  std::string length;
  for (int i = 0; i < 8; ++i) length += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return length + header + data;
}

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::string Text(absl::Span<const uint8_t> bytes) { return std::string(bytes.begin(), bytes.end()); }

std::string ReadOrDie(const std::string& path) { return ReadFile(path).value(); }

// huggingface/safetensors, safetensors/src/tensor.rs, test_deserialization: '<' is the header length, 60.
TEST(SafetensorsTest, ReadsThePublishedLayout) {
  const std::string bytes = std::string("<\0\0\0\0\0\0\0", 8) +
                            R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})" +
                            std::string("\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0", 16);
  const auto file = OpenBytes(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tensor = file->Find("test");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->dtype, DType::kI32);
  EXPECT_THAT(tensor->shape, ElementsAre(2, 2));
  EXPECT_EQ(Text(tensor->bytes), bytes.substr(68));
  EXPECT_THAT(file->metadata(), IsEmpty());
  EXPECT_TRUE(file->Verify().ok());
  EXPECT_EQ(file->VerifyOwn().code(), absl::StatusCode::kDataLoss);
}

// The other accepted cases of that file: test_empty_shapes_allowed, test_whitespace_padded_header,
// test_zero_sized_tensor.
TEST(SafetensorsTest, ReadsScalarsEmptyTensorsAndPadding) {
  const auto scalar = OpenBytes(Framed(R"({"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})", "abcd"));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_THAT(scalar->tensors()[0].shape, IsEmpty());
  EXPECT_EQ(Text(scalar->tensors()[0].bytes), "abcd");

  const auto nothing = OpenBytes(Framed("{}\r \t\n", ""));
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_THAT(nothing->tensors(), IsEmpty());

  const auto zero = OpenBytes(Framed(R"({"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}})", ""));
  ASSERT_TRUE(zero.ok()) << zero.status();
  EXPECT_THAT(zero->tensors()[0].shape, ElementsAre(2, 0));
}

TEST(SafetensorsTest, WritesTheLayoutByteForByte) {
  const std::string a = "A", wide = "01234567", b = "BB";
  ASSERT_TRUE(WriteSafetensors(TestPath(),
                               {{"b", DType::kU8, {2, 1}, Bytes(b)},
                                {"wide", DType::kI64, {}, Bytes(wide)},
                                {"a \"\n", DType::kBool, {1}, Bytes(a)}},
                               {{"k\u00e9y", "v\\"}})
                  .ok());
  const std::string zeros(64, '0');
  std::string header = "{\"__metadata__\":{\"retort.sha256\":\"" + zeros +
                       "\",\"k\u00e9y\":\"v\\\\\"},"
                       "\"wide\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                       "\"a \\\"\\n\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[8,9]},"
                       "\"b\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[9,11]}}";
  while (header.size() % 8 != 0) header += ' ';
  const std::string unsigned_file = Framed(header, "01234567ABB");
  EXPECT_EQ(ReadOrDie(TestPath()), absl::StrReplaceAll(unsigned_file, {{zeros, Sha256Hex(unsigned_file)}}));
}

TEST(SafetensorsTest, RoundTripOfEveryType) {
  std::vector<std::string> contents;
  std::vector<TensorView> tensors;
  for (const DType dtype : AllDTypes()) {
    contents.push_back(
        std::string(static_cast<size_t>(8 * DTypeBits(dtype) / 8), static_cast<char>('a' + contents.size())));
  }
  for (size_t i = 0; i < contents.size(); ++i) {
    tensors.push_back({std::string(DTypeName(AllDTypes()[i])), AllDTypes()[i], {2, 4}, Bytes(contents[i])});
  }
  ASSERT_TRUE(WriteSafetensors(TestPath(), tensors, {{"format", "pt"}}).ok());
  const auto file = SafetensorsFile::Open(TestPath());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Verify().ok());
  EXPECT_TRUE(file->VerifyOwn().ok());
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->tensors().size(), tensors.size());
  for (const TensorView& expected : tensors) {
    const auto tensor = file->Find(expected.name);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->dtype, expected.dtype);
    EXPECT_EQ(tensor->shape, expected.shape);
    EXPECT_EQ(tensor->bytes, expected.bytes);
    // Bytes can be used in place as elements of their type.
    EXPECT_EQ(
        reinterpret_cast<uintptr_t>(tensor->bytes.data()) % static_cast<uintptr_t>((DTypeBits(tensor->dtype) + 7) / 8),
        0u);
  }
}

TEST(SafetensorsTest, FindNamesWhatIsThere) {
  const auto file = OpenBytes(Framed(R"({"here":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status status = file->Find("gone").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gone"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("here"));
}

TEST(SafetensorsTest, HostileFilesAreRefused) {
  struct Case {
    std::string name;
    std::string bytes;
    std::string message;
  };
  const auto one = [](const std::string& body, const std::string& data) {
    return Framed("{\"t\":{" + body + "}}", data);
  };
  const std::string good = R"("dtype":"U8","shape":[4],"data_offsets":[0,4])";
  const std::vector<Case> cases = {
      {"empty file", "", "0 bytes"},
      {"no header", Framed("", "").substr(0, 7), "7 bytes"},
      {"empty header", Framed("", ""), "start with {"},
      {"header longer than the file", std::string("<\0\0\0\0\0\0\0", 8), "claims a header of 60"},
      {"header of 100 MB and a byte", std::string("\x01\xe1\xf5\x05\0\0\0\0", 8), "at most 100000000"},
      {"header of 2^63", std::string("\0\0\0\0\0\0\0\x80", 8), "at most 100000000"},
      {"header of 2^64 - 1", std::string(8, '\xff'), "at most 100000000"},
      {"not JSON", Framed("{", ""), "not UTF-8 JSON"},
      {"not UTF-8", Framed("{\"\xff\":{" + good + "}}", "abcd"), "not UTF-8 JSON"},
      {"overlong UTF-8", Framed("{\"\xc0\x80\":{" + good + "}}", "abcd"), "not UTF-8 JSON"},
      {"byte order mark", Framed("\xef\xbb\xbf{}", ""), "start with {"},
      {"leading space", Framed(" {}", ""), "start with {"},
      {"NUL hides a second header", Framed(std::string("{}\0{}", 5), ""), "NUL"},
      {"second value", Framed("{}{}", ""), "not UTF-8 JSON"},
      {"comment", Framed("{/**/}", ""), "not UTF-8 JSON"},
      {"array", Framed("[]", ""), "start with {"},
      {"deep nesting", Framed("{\"t\":" + std::string(1'000'000, '['), ""), "an array where none may be"},
      {"deep nesting in a shape", one("\"shape\":" + std::string(1'000'000, '['), ""), "an array where none may be"},
      {"deep objects", Framed("{\"t\":{\"shape\":{}}}", ""), "an object where none may be"},
      {"object in a shape", one("\"shape\":[{}]", ""), "an object where none may be"},
      {"tensor is a number", Framed("{\"t\":3}", ""), "a number where none may be"},
      {"tensor is a string", Framed("{\"t\":\"x\"}", ""), "a string where none may be"},
      {"tensor is null", Framed("{\"t\":null}", ""), "a null where none may be"},
      {"no fields", one("", ""), "needs each of"},
      {"no shape", one(R"("dtype":"U8","data_offsets":[0,0])", ""), "needs each of"},
      {"no offsets", one(R"("dtype":"U8","shape":[0])", ""), "needs each of"},
      {"no dtype", one(R"("shape":[4],"data_offsets":[0,4])", "abcd"), "needs each of"},
      {"unknown field", one(good + R"(,"hidden":"x")", "abcd"), "unknown key \"hidden\""},
      {"field twice", one(good + R"(,"shape":[4])", "abcd"), "\"shape\" occurs twice"},
      {"tensor twice", Framed("{\"t\":{" + good + "},\"t\":{" + good + "}}", "abcd"), "occurs twice"},
      {"metadata twice", Framed(R"({"__metadata__":{},"__metadata__":{}})", ""), "occurs twice"},
      {"metadata key twice", Framed(R"({"__metadata__":{"a":"1","a":"2"}})", ""), "\"a\" occurs twice"},
      {"metadata is no string", Framed(R"({"__metadata__":{"a":1}})", ""), "a number where none may be"},
      {"metadata is nested", Framed(R"({"__metadata__":{"a":{}}})", ""), "an object where none may be"},
      {"unknown type", one(R"("dtype":"U7","shape":[4],"data_offsets":[0,4])", "abcd"), "\"U7\" is not among BOOL"},
      {"type is an array", one(R"("dtype":["U8"])", ""), "an array where none may be"},
      {"shape is a string", one(R"("dtype":"U8","shape":"4","data_offsets":[0,4])", "abcd"), "where numbers should be"},
      {"negative extent", one(R"("dtype":"U8","shape":[-4],"data_offsets":[0,4])", "abcd"), "negative"},
      {"extent of 4.0", one(R"("dtype":"U8","shape":[4.0],"data_offsets":[0,4])", "abcd"), "not a whole one"},
      {"extent of 2^64 - 2", one(R"("dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,4])", "abcd"),
       "beyond 2^63"},
      {"extent of 2^70", one(R"("dtype":"I32","shape":[1180591620717411303424],"data_offsets":[0,4])", "abcd"),
       "not a whole one"},
      {"extent of 1e999", one(R"("dtype":"I32","shape":[1e999],"data_offsets":[0,4])", "abcd"), "not UTF-8 JSON"},
      {"bytes overflow", one(R"("dtype":"I32","shape":[2,9223372036854775807],"data_offsets":[0,4])", "abcd"),
       "does not fit"},
      {"bytes overflow to 4", one(R"("dtype":"I32","shape":[4611686018427387905],"data_offsets":[0,4])", "abcd"),
       "does not fit"},
      {"half a byte", one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])", "ab"), "does not fit"},
      {"overflow behind a 0", one(R"("dtype":"I32","shape":[0,9223372036854775807,2],"data_offsets":[0,0])", ""),
       "does not fit"},
      {"overflow hidden by 0", one(R"("dtype":"I32","shape":[9223372036854775807,2,0],"data_offsets":[0,0])", ""),
       "does not fit"},
      {"65 dimensions",
       one("\"dtype\":\"U8\",\"shape\":[1" + absl::StrReplaceAll(std::string(64, '.'), {{".", ",1"}}) +
               "],\"data_offsets\":[0,1]",
           "a"),
       "more than 64 dimensions"},
      {"shape and range differ", one(R"("dtype":"I32","shape":[2,2],"data_offsets":[0,4])", "abcd"), "does not fit"},
      {"one offset", one(R"("dtype":"U8","shape":[4],"data_offsets":[4])", "abcd"), "needs two numbers"},
      {"three offsets", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4,4])", "abcd"), "needs two numbers"},
      {"range runs backwards", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4])", "abc"), "the data end at 3"},
      {"range ends before it begins",
       Framed(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,2]}})",
           "abcd"),
       "ends before it begins"},
      {"gap at the start", one(R"("dtype":"U8","shape":[3],"data_offsets":[1,4])", "abcd"), "end at 0"},
      {"gap",
       Framed(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           "abcd"),
       "end at 1"},
      {"overlap",
       Framed(
           R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           "abcd"),
       "end at 3"},
      {"same range twice",
       Framed(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           "abcd"),
       "end at 4"},
      {"trailing data", one(good, "abcd_polyglot"), "the data at 13"},
      {"missing data", one(good, "ab"), "the data end at 2"},
  };
  for (const Case& c : cases) {
    const absl::Status status = OpenBytes(c.bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << c.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(TestPath())) << c.name;
  }
}

TEST(SafetensorsTest, BadArgumentsAreRefusedAndNothingIsWritten) {
  const std::string x = "abcd";
  struct Case {
    std::string name;
    std::vector<TensorView> tensors;
    std::map<std::string, std::string> metadata;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"name twice", {{"t", DType::kU8, {4}, Bytes(x)}, {"t", DType::kI32, {1}, Bytes(x)}}, {}, "\"t\" is taken"},
      {"name of the metadata", {{"__metadata__", DType::kU8, {4}, Bytes(x)}}, {}, "is taken"},
      {"name not UTF-8", {{"\xff", DType::kU8, {4}, Bytes(x)}}, {}, "not UTF-8"},
      {"metadata not UTF-8", {}, {{"k", "\xff"}}, "not UTF-8"},
      {"too few bytes", {{"t", DType::kU8, {5}, Bytes(x)}}, {}, "has 4 bytes, which do not fit U8 [5]"},
      {"negative extents", {{"t", DType::kU8, {-2, -2}, Bytes(x)}}, {}, "do not fit U8 [-2,-2]"},
      {"overflow", {{"t", DType::kI32, {int64_t{1} << 62, 4}, {}}}, {}, "do not fit"},
      {"65 dimensions", {{"t", DType::kU8, std::vector<int64_t>(65, 1), Bytes(x)}}, {}, "more than 64"},
  };
  for (const Case& c : cases) {
    const absl::Status status = WriteSafetensors(TestPath() + ".new", c.tensors, c.metadata);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
    EXPECT_EQ(ReadFile(TestPath() + ".new").status().code(), absl::StatusCode::kNotFound) << c.name;
  }
}

TEST(SafetensorsTest, DiskFullIsReportedAtEverySize) {
  signal(SIGXFSZ, SIG_IGN);
  const std::string data(4096, 'x');
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (rlim_t limit = 0; limit < 4096; limit += 97) {
    rlimit low = before;
    low.rlim_cur = limit;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const absl::Status status = WriteSafetensors(TestPath(), {{"t", DType::kU8, {4096}, Bytes(data)}}, {});
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << limit << ": " << status;
    EXPECT_EQ(ReadFile(TestPath()).status().code(), absl::StatusCode::kNotFound) << limit;
  }
}

// A sound file, for mutation.
std::string Sample() {
  const std::string labels(24, '\x03'), images(60, '\x80'), names = "abc";
  const absl::Status status = WriteSafetensors(TestPath(),
                                               {{"images", DType::kU8, {3, 4, 5}, Bytes(images)},
                                                {"labels", DType::kI64, {3}, Bytes(labels)},
                                                {"names", DType::kU8, {3}, Bytes(names)}},
                                               {{"name", "sample"}, {"class_names", "[\"a\",\"b\"]"}});
  EXPECT_TRUE(status.ok()) << status;
  return ReadOrDie(TestPath());
}

// Every mutant differs from the sound file, so Open or VerifyOwn must say DataLoss.
void ExpectDetected(const std::string& mutant, const std::string& how) {
  const auto file = OpenBytes(mutant);
  const absl::Status status = file.ok() ? file->VerifyOwn() : file.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << how << ": " << status;
}

TEST(SafetensorsTest, EveryFlippedBitIsDetected) {
  const std::string sample = Sample();
  for (size_t bit = 0; bit < 8 * sample.size(); ++bit) {
    std::string mutant = sample;
    mutant[bit / 8] ^= static_cast<char>(1 << bit % 8);
    ExpectDetected(mutant, absl::StrCat("bit ", bit));
  }
}

TEST(SafetensorsTest, EveryOtherLengthIsDetected) {
  const std::string sample = Sample();
  for (size_t size = 0; size < sample.size(); ++size)
    ExpectDetected(sample.substr(0, size), absl::StrCat("size ", size));
  for (size_t more = 1; more < 20; ++more) {
    ExpectDetected(sample + std::string(more, '\0'), absl::StrCat(more, " more"));
    ExpectDetected(sample + std::string(more, ' '), absl::StrCat(more, " more"));
  }
}

TEST(SafetensorsTest, RandomDamageIsDetected) {
  const std::string sample = Sample();
  std::mt19937_64 random(11);
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  for (int i = 0; i < 4000; ++i) {
    std::string mutant = sample;
    const size_t from = below(sample.size());
    const size_t to = below(sample.size());
    const size_t length = std::min(1 + below(64), sample.size() - std::max(from, to));
    switch (i % 4) {
      case 0:  // a block of zeros
        mutant.replace(from, std::min(length, sample.size() - from), std::min(length, sample.size() - from), '\0');
        break;
      case 1:  // a block copied over another
        mutant.replace(to, length, sample.substr(from, length));
        break;
      case 2:  // bytes lost in the middle
        mutant.erase(from, length);
        break;
      default:  // several bytes replaced
        for (size_t n = 0; n < 1 + length % 5; ++n) mutant[below(sample.size())] = static_cast<char>(random());
    }
    if (mutant != sample) ExpectDetected(mutant, absl::StrCat("mutation ", i));
  }
}

// A file without a hash has only its structure: damage may pass, but what is offered lies within the file.
TEST(SafetensorsTest, DamageWithoutHashStaysInBounds) {
  const std::string sample = Framed(
      R"({"a":{"dtype":"I16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"U8","shape":[4],"data_offsets":[12,16]}})",
      "0123456789abcdef");
  std::mt19937_64 random(12);
  for (int i = 0; i < 4000; ++i) {
    std::string mutant = sample;
    for (int n = 0; n <= i % 3; ++n) mutant[random() % mutant.size()] = static_cast<char>(random());
    const auto file = OpenBytes(mutant);
    if (!file.ok()) {
      EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss);
      continue;
    }
    size_t bytes = 0;
    for (const TensorView& tensor : file->tensors()) bytes += tensor.bytes.size();
    EXPECT_EQ(bytes, 16u);
    EXPECT_TRUE(file->Verify().ok());
  }
}

}  // namespace
}  // namespace retort::data
