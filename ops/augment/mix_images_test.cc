#include "retort/ops/augment/mix_images.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Device::Kind;

constexpr uint8_t kUntouched = 0xb7;

struct Problem {
  int batch = 2;
  int sources = 3;
  int values = 100;
  // Every second value, and gaps between the rows of all buffers.
  bool spaced = false;
};

std::string Name(const Problem& p) {
  return absl::StrCat("B", p.batch, "K", p.sources, "P", p.values, p.spaced ? "Spaced" : "");
}

// Memory of a buffer, whose extents are given innermost first.
template <typename T>
struct Block {
  Block(const std::vector<int>& extents, bool spaced) {
    std::vector<halide_dimension_t> dimensions;
    int stride = spaced ? 2 : 1;
    for (const int extent : extents) {
      dimensions.push_back({0, extent, stride});
      stride = stride * extent + (spaced ? 5 : 0);
    }
    memory.assign(static_cast<size_t>(stride), kUntouched);
    buffer = Buffer<T>(memory.data(), static_cast<int>(extents.size()), dimensions.data());
  }

  std::vector<T> memory;
  Buffer<T> buffer;
};

struct Arguments {
  explicit Arguments(const Problem& p)
      : images({p.values, p.sources, p.batch}, p.spaced),
        weights({p.sources, p.batch}, p.spaced),
        output({p.values, p.batch}, p.spaced),
        expected({p.values, p.batch}, p.spaced) {
    std::mt19937 random(5);
    images.buffer.for_each_value([&](uint8_t& value) { value = static_cast<uint8_t>(random()); });
    // Some sums lie beyond 255.
    weights.buffer.for_each_value([&](float& value) { value = std::uniform_real_distribution<float>(0, 1)(random); });
    expected.buffer.for_each_element([&](int i, int b) {
      float sum = 0;
      for (int k = 0; k < p.sources; ++k) {
        const float product = weights.buffer(k, b) * static_cast<float>(images.buffer(i, k, b));
        sum += product;
      }
      expected.buffer(i, b) = static_cast<uint8_t>(std::clamp(sum, 0.0f, 255.0f));
    });
  }

  absl::Status Run(Kind kind = Kind::kHost) {
    for (halide_buffer_t* buffer :
         {images.buffer.raw_buffer(), weights.buffer.raw_buffer(), output.buffer.raw_buffer()}) {
      testing::ToDevice(kind, buffer);
    }
    const absl::Status status = MixImages(images.buffer, weights.buffer, output.buffer, {.kind = kind});
    testing::ToHost(kind, output.buffer);
    return status;
  }

  Block<uint8_t> images;
  Block<float> weights;
  Block<uint8_t> output, expected;
};

// Sizes around the vector width of 64 and the 8 images of a task.
std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const bool spaced : {false, true}) {
    for (const int batch : {1, 9}) {
      for (const int sources : {1, 2, 4}) {
        for (const int values : {1, 17, 63, 64, 100, 3072}) problems.push_back({batch, sources, values, spaced});
      }
    }
    problems.push_back({.batch = 0, .spaced = spaced});
    problems.push_back({.values = 0, .spaced = spaced});
  }
  return problems;
}

class MixImagesTest : public ::testing::TestWithParam<Kind> {};

TEST_P(MixImagesTest, EqualsTheScalarSumByteByByteAndTouchesNothingElse) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    ASSERT_EQ(arguments.Run(GetParam()), absl::OkStatus());
    EXPECT_EQ(arguments.output.memory, arguments.expected.memory) << Name(problem);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, MixImagesTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

TEST(MixImagesByHandTest, TruncatesTheSum) {
  std::vector<uint8_t> images = {10, 200, 255, 21, 100, 255}, output(3);
  std::vector<float> weights = {0.25f, 0.75f};
  ASSERT_EQ(MixImages(Buffer<uint8_t, 3>(images.data(), 3, 2, 1), Buffer<float, 2>(weights.data(), 2, 1),
                      Buffer<uint8_t, 2>(output.data(), 3, 1)),
            absl::OkStatus());
  // 2.5 + 15.75, 50 + 75, 255.
  EXPECT_THAT(output, ElementsAre(18, 125, 255));
}

TEST(MixImagesByHandTest, RefusesWhatDoesNotFit) {
  const absl::Status none = MixImages(Buffer<uint8_t, 3>(3, 0, 2), Buffer<float, 2>(0, 2), Buffer<uint8_t, 2>(3, 2));
  EXPECT_THAT(std::string(none.message()), HasSubstr("images has no image to mix"));
  const absl::Status shape = MixImages(Buffer<uint8_t, 3>(3, 2, 2), Buffer<float, 2>(3, 2), Buffer<uint8_t, 2>(3, 2));
  EXPECT_THAT(std::string(shape.message()), HasSubstr("weights has shape [2,3]; give [B,K] = [2,2]"));
  for (const float weight : {-0.25f, 1.5f, std::nanf("")}) {
    Buffer<uint8_t, 2> output(3, 2);
    output.fill(9);
    Buffer<float, 2> weights(2, 2);
    weights.fill(0.5f);
    weights(1, 0) = weight;
    const absl::Status status = MixImages(Buffer<uint8_t, 3>(3, 2, 2), weights, output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("weights[0,1] is ", weight, "; permitted are 0..1")));
    EXPECT_TRUE(output.all_equal(9));
  }
  EXPECT_EQ(MixImages(Buffer<uint8_t, 3>(3, 2, 0), Buffer<float, 2>(2, 0), Buffer<uint8_t, 2>(3, 0)), absl::OkStatus());
}

TEST(MixImagesByHandTest, RefusesMoreImagesThanAGridHas) {
  Buffer<uint8_t, 3> images(1, 1, 65536);
  Buffer<float, 2> weights(1, 65536);
  Buffer<uint8_t, 2> output(1, 65536);
  const testing::PretendedDeviceMemory pretended({images, weights, output});
  EXPECT_EQ(
      MixImages(images, weights, output, {Kind::kCuda}),
      absl::InvalidArgumentError("mix_images: 65536 images; on a GPU at most 65535 are permitted, divide the batch"));
}

// Number of problems that come out wrong.
int WrongProblems() {
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.output.memory == arguments.expected.memory) continue;
    std::cerr << "wrong: " << Name(problem) << std::endl;
    ++wrong;
  }
  return wrong;
}

class MixImagesInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(MixImagesInstructionSetTest, GivesTheSameBytes) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  constexpr int kFunctions = 1;
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), kFunctions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, MixImagesInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::ops
