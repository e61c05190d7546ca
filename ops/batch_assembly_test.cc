#include "retort/ops/batch_assembly.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/batch_assembly_op.h"
#include "retort/ops/batch_assembly_oracle.h"
#include "retort/ops/batch_assembly_params.h"
#include "retort/ops/call_halide.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kUntouched = -12345.0f;

enum class Layout { kPlanar, kChannelsLast, kSpaced };

std::string Name(Layout layout) {
  switch (layout) {
    case Layout::kPlanar:
      return "Planar";
    case Layout::kChannelsLast:
      return "ChannelsLast";
    case Layout::kSpaced:
      return "Spaced";
  }
  return "";
}

struct Problem {
  int size = 7;  // N
  int height = 5;
  int width = 7;
  int channels = 3;
  int batch = 3;
  int pad = 4;
  Layout layout = Layout::kPlanar;
};

std::string Name(const Problem& problem) {
  return absl::StrCat("H", problem.height, "W", problem.width, "C", problem.channels, "B", problem.batch, "Pad",
                      problem.pad, Name(problem.layout));
}

// The arguments of one call, filled at random from a fixed seed, and what they should give.
struct Arguments {
  explicit Arguments(const Problem& p) {
    std::mt19937 random(17);
    const int64_t elements = int64_t{p.batch} * p.channels * p.height * p.width;
    images.resize(static_cast<size_t>(int64_t{p.size} * p.height * p.width * p.channels));
    for (uint8_t& pixel : images) pixel = static_cast<uint8_t>(random());
    std::uniform_int_distribution<int> shift(-p.pad, p.pad);
    for (int b = 0; b < p.batch; ++b) {
      index.push_back(static_cast<int64_t>(random() % static_cast<uint32_t>(p.size)));
      params.push_back({shift(random), shift(random), static_cast<int32_t>(random() % 2)});
    }
    std::uniform_real_distribution<float> number(-2, 2);
    for (int c = 0; c < p.channels; ++c) {
      scale.push_back(number(random) / 255);
      offset.push_back(number(random));
    }
    switch (p.layout) {
      case Layout::kPlanar:
        stride = {p.channels * p.height * p.width, p.height * p.width, p.width, 1};
        break;
      case Layout::kChannelsLast:
        stride = {p.channels * p.height * p.width, 1, p.width * p.channels, p.channels};
        break;
      case Layout::kSpaced:
        stride = {2 * p.channels * p.height * p.width, 2 * p.height * p.width, 2 * p.width, 2};
        break;
    }
    output.assign(static_cast<size_t>(2 * elements + 64), kUntouched);
    expected = output;
    BatchAssemblyOracle(images.data(), p.height, p.width, p.channels, index.data(), params.data(), p.batch,
                        scale.data(), offset.data(), expected.data(), {stride[0], stride[1], stride[2], stride[3]});

    images_buffer = Buffer<uint8_t, 4>(images.data(), p.channels, p.width, p.height, p.size);
    index_buffer = Buffer<int64_t, 1>(index.data(), p.batch);
    params_buffer = Buffer<int32_t, 2>(reinterpret_cast<int32_t*>(params.data()), 3, p.batch);
    scale_buffer = Buffer<float, 1>(scale.data(), p.channels);
    offset_buffer = Buffer<float, 1>(offset.data(), p.channels);
    const halide_dimension_t dimensions[] = {
        {0, p.width, stride[3]}, {0, p.height, stride[2]}, {0, p.channels, stride[1]}, {0, p.batch, stride[0]}};
    output_buffer = Buffer<float, 4>(output.data(), 4, dimensions);
  }

  absl::Status Run() {
    return BatchAssembly(images_buffer, index_buffer, params_buffer, scale_buffer, offset_buffer, output_buffer);
  }

  std::vector<uint8_t> images;
  std::vector<int64_t> index;
  std::vector<BatchAssemblyParams> params;
  std::vector<float> scale, offset, output, expected;
  std::array<int, 4> stride;  // of [B,C,H,W]
  Buffer<uint8_t, 4> images_buffer;
  Buffer<int64_t, 1> index_buffer;
  Buffer<int32_t, 2> params_buffer;
  Buffer<float, 1> scale_buffer, offset_buffer;
  Buffer<float, 4> output_buffer;
};

// Sizes around the vector width of 16, channel counts with and without code of their own, odd batches.
std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast, Layout::kSpaced}) {
    for (const int channels : {1, 2, 3, 4, 5}) {
      for (const auto& [height, width] : {std::pair{1, 1}, {5, 7}, {7, 16}, {16, 17}, {32, 32}, {33, 31}, {3, 40}}) {
        problems.push_back({.height = height, .width = width, .channels = channels, .batch = 5, .layout = layout});
      }
    }
  }
  for (const int batch : {0, 1, 2, 4, 13}) problems.push_back({.batch = batch});
  for (const int pad : {0, 1, 8, 100}) problems.push_back({.height = 9, .width = 24, .batch = 12, .pad = pad});
  return problems;
}

class BatchAssemblyTest : public ::testing::TestWithParam<Problem> {};

TEST_P(BatchAssemblyTest, EqualsTheOracleBitByBitAndWritesNothingElse) {
  Arguments arguments(GetParam());
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  EXPECT_EQ(arguments.output, arguments.expected);
}

INSTANTIATE_TEST_SUITE_P(Sizes, BatchAssemblyTest, ::testing::ValuesIn(Problems()),
                         [](const auto& instance) { return Name(instance.param); });

TEST(BatchAssemblyByHandTest, ShiftsThenMirrorsThenScales) {
  // 1 2 3      row 1 on, one column further right,      0 6 5
  // 4 5 6      mirrored; the row below is black         0 0 0
  uint8_t pixels[] = {1, 2, 3, 4, 5, 6};
  int64_t index[] = {0};
  BatchAssemblyParams params = {.dy = 1, .dx = 1, .flip = 1};
  float scale[] = {10}, offset[] = {-1};
  std::vector<float> output(6);
  ASSERT_EQ(BatchAssembly(Buffer<uint8_t, 4>(pixels, 1, 3, 2, 1), Buffer<int64_t, 1>(index, 1),
                          Buffer<int32_t, 2>(&params.dy, 3, 1), Buffer<float, 1>(scale, 1), Buffer<float, 1>(offset, 1),
                          Buffer<float, 4>(output.data(), 3, 2, 1, 1)),
            absl::OkStatus());
  EXPECT_THAT(output, ElementsAre(-1, 59, 49, -1, -1, -1));
}

TEST(BatchAssemblyByHandTest, TakesTheFarthestShifts) {
  constexpr int32_t kFar = 1 << 20;
  Arguments arguments({.height = 4, .width = 20, .batch = 4});
  arguments.params[0] = {kFar, 0, 0};
  arguments.params[1] = {-kFar, 0, 1};
  arguments.params[2] = {0, kFar, 1};
  arguments.params[3] = {0, -kFar, 0};
  for (float& offset : arguments.offset) offset = 7;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  arguments.output.resize(4 * 3 * 4 * 20);
  EXPECT_THAT(arguments.output, Each(7.0f));
}

TEST(BatchAssemblyByHandTest, ReachesBeyondTwoGigabytes) {
  // 2.5 GB of address space; only the pages that are touched take memory.
  constexpr int kSide = 1024, kSize = 2500;
  constexpr int64_t kBytes = int64_t{kSide} * kSide * kSize;
  void* block = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(block, MAP_FAILED);
  auto* pixels = static_cast<uint8_t*>(block);
  pixels[kBytes - 1] = 200;
  int64_t index[] = {kSize - 1};
  BatchAssemblyParams params;
  float scale[] = {1}, offset[] = {0};
  std::vector<float> output(kSide * kSide);
  EXPECT_EQ(BatchAssembly(Buffer<uint8_t, 4>(pixels, 1, kSide, kSide, kSize), Buffer<int64_t, 1>(index, 1),
                          Buffer<int32_t, 2>(&params.dy, 3, 1), Buffer<float, 1>(scale, 1), Buffer<float, 1>(offset, 1),
                          Buffer<float, 4>(output.data(), kSide, kSide, 1, 1)),
            absl::OkStatus());
  EXPECT_EQ(output.front(), 0);
  EXPECT_EQ(output.back(), 200);
  munmap(block, kBytes);
}

TEST(BatchAssemblyThreadsTest, GiveTheSameBits) {
  for (const int threads : {1, 2, 5}) {
    halide_set_num_threads(threads);
    Arguments arguments({.height = 32, .width = 32, .batch = 31, .layout = Layout::kChannelsLast});
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    EXPECT_EQ(arguments.output, arguments.expected) << threads << " threads";
  }
  halide_set_num_threads(0);
}

// Instruction sets that the op is to believe absent.
std::vector<halide_target_feature_t> denied;
int variants_refused = 0;

int CanUse(int count, const uint64_t* features) {
  for (const halide_target_feature_t feature : denied) {
    if ((features[feature / 64] >> (feature % 64) & 1) != 0) {
      ++variants_refused;
      return 0;
    }
  }
  return halide_default_can_use_target_features(count, features);
}

struct InstructionSet {
  std::string name;
  std::vector<halide_target_feature_t> denied;
  // Of the variants AVX-512, AVX2, SSE4.1; the last one is taken unasked.
  int refused;
};

// Number of problems that come out wrong on this instruction set. A process can find out once only: the op chooses its
// variant when it is first called.
int WrongProblems(const InstructionSet& instruction_set) {
  denied = instruction_set.denied;
  halide_set_custom_can_use_target_features(&CanUse);
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.output == arguments.expected) continue;
    std::cerr << "wrong: " << Name(problem) << std::endl;
    ++wrong;
  }
  if (variants_refused == instruction_set.refused) return wrong;
  std::cerr << variants_refused << " variants were refused, not " << instruction_set.refused << std::endl;
  return wrong + 1;
}

class BatchAssemblyInstructionSetTest : public ::testing::TestWithParam<InstructionSet> {};

TEST_P(BatchAssemblyInstructionSetTest, GivesTheSameBits) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  EXPECT_EXIT(std::exit(WrongProblems(GetParam())), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(
    Masks, BatchAssemblyInstructionSetTest,
    ::testing::Values(InstructionSet{"Best", {}, 0},
                      InstructionSet{"Avx2AndBelow", {halide_target_feature_avx512_skylake}, 1},
                      InstructionSet{"Sse41", {halide_target_feature_avx512_skylake, halide_target_feature_avx2}, 2}),
    [](const auto& instance) { return instance.param.name; });

struct BadCall {
  std::string name;
  void (*spoil)(Arguments& arguments);
  absl::StatusCode code;
  std::string message;
};

class BatchAssemblyBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(BatchAssemblyBadCallTest, IsRefusedAndLeavesTheOutputAlone) {
  Arguments arguments(Problem{});
  GetParam().spoil(arguments);
  const absl::Status status = arguments.Run();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(arguments.output, Each(kUntouched));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BatchAssemblyBadCallTest,
    ::testing::Values(BadCall{.name = "IndexTooLarge",
                              .spoil = [](Arguments& a) { a.index[2] = 7; },
                              .code = absl::StatusCode::kOutOfRange,
                              .message = "index[2] = 7, but images has 7; permitted are 0..6"},
                      BadCall{.name = "IndexNegative",
                              .spoil = [](Arguments& a) { a.index[0] = -1; },
                              .code = absl::StatusCode::kOutOfRange,
                              .message = "index[0] = -1"},
                      BadCall{.name = "IndexBeyond32Bits",
                              .spoil = [](Arguments& a) { a.index[0] = int64_t{1} << 32; },
                              .code = absl::StatusCode::kOutOfRange,
                              .message = "index[0] = 4294967296"},
                      BadCall{.name = "TooFarUp",
                              .spoil = [](Arguments& a) { a.params[1].dy = std::numeric_limits<int32_t>::min(); },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "dy of params[1] is -2147483648; permitted are -1048576..1048576"},
                      BadCall{.name = "TooFarRight",
                              .spoil = [](Arguments& a) { a.params[0].dx = (1 << 20) + 1; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "dx of params[0] is 1048577"},
                      BadCall{.name = "FlipTwo",
                              .spoil = [](Arguments& a) { a.params[1].flip = 2; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "flip of params[1] is 2; permitted are 0 and 1"},
                      BadCall{
                          .name = "ImagesOfFloats",
                          .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->type = halide_type_of<float>(); },
                          .code = absl::StatusCode::kInvalidArgument,
                          .message = "images has 4 dimensions of f32; give 4 of u8"},
                      BadCall{.name = "ThreeDimensionalImages",
                              .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->dimensions = 3; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "images has 3 dimensions of u8; give 4 of u8"},
                      BadCall{.name = "OutputTooWide",
                              .spoil = [](Arguments& a) { a.output_buffer.raw_buffer()->dim[0].extent = 8; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "output has shape [3,3,5,8]; give [B,C,H,W] = [3,3,5,7]"},
                      BadCall{.name = "TooFewParams",
                              .spoil = [](Arguments& a) { a.params_buffer.raw_buffer()->dim[1].extent = 2; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "params has shape [2,3]; give [B,3] = [3,3]"},
                      BadCall{.name = "TooManyOffsets",
                              .spoil = [](Arguments& a) { a.offset_buffer.raw_buffer()->dim[0].extent = 4; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "offset has shape [4]; give [C] = [3]"},
                      BadCall{.name = "PixelsApart",
                              .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->dim[1].stride = 4; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "pixels must be dense"},
                      BadCall{.name = "CroppedOrigin",
                              .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->dim[2].min = 1; },
                              .code = absl::StatusCode::kInternal,
                              .message = "batch_assembly: Halide error"}),
    [](const auto& instance) { return instance.param.name; });

TEST(BatchAssemblyBadCallTest, WithoutABufferIsRefused) {
  Arguments a(Problem{});
  const absl::Status status =
      BatchAssembly(a.images_buffer, a.index_buffer, a.params_buffer, nullptr, a.offset_buffer, a.output_buffer);
  EXPECT_EQ(status, absl::InvalidArgumentError("batch_assembly: scale is missing"));
}

TEST(CallHalideTest, ReportsExhaustedMemory) {
  const auto previous = halide_set_custom_malloc([](void*, size_t) -> void* { return nullptr; });
  Arguments arguments(Problem{});
  const absl::Status status = arguments.Run();
  halide_set_custom_malloc(previous);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(arguments.Run(), absl::OkStatus());
}

}  // namespace
}  // namespace retort::ops
