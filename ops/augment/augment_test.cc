#include "retort/ops/augment/augment.h"

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

#include "retort/ops/augment/augment_oracle.h"
#include "retort/ops/augment/augment_record.h"
#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Kind = Device::Kind;

constexpr uint8_t kUntouched = 0xA5;
constexpr int kKinds = 16;

// A record of each of the 16 functions of AugmentRecord, with a random parameter.
AugmentRecord Draw(int kind, int height, int width, std::mt19937& random) {
  const auto uniform = [&](double least, double greatest) {
    return std::uniform_real_distribution<double>(least, greatest)(random);
  };
  const auto factor = [&] { return std::vector<double>{0, 1, uniform(0, 1), uniform(-1, 3)}[random() % 4]; };
  switch (kind) {
    case 0:
      return AugmentRecord::ShearX(uniform(-1, 1));
    case 1:
      return AugmentRecord::ShearY(uniform(-1, 1));
    case 2:
      return AugmentRecord::TranslateX(static_cast<int>(uniform(-40, 40)));
    case 3:
      return AugmentRecord::TranslateY(static_cast<int>(uniform(-40, 40)));
    case 4:
      return AugmentRecord::Rotate(uniform(-400, 400), height, width);
    case 5:
      return AugmentRecord::Brightness(factor());
    case 6:
      return AugmentRecord::Color(factor());
    case 7:
      return AugmentRecord::Contrast(factor());
    case 8:
      return AugmentRecord::Sharpness(factor());
    case 9:
      return AugmentRecord::Posterize(static_cast<int>(random() % 9));
    case 10:
      return AugmentRecord::Solarize(uniform(0, 256));
    case 11:
      return AugmentRecord::Autocontrast();
    case 12:
      return AugmentRecord::Equalize();
    case 13:
      return AugmentRecord::Invert();
    case 14:
      return AugmentRecord::Hue(uniform(-0.5, 0.5));
    default:
      return AugmentRecord::Identity();
  }
}

struct Problem {
  int height = 5;
  int width = 7;
  int channels = 3;
  int batch = 2 * kKinds;
  int steps = 1;
  // Bytes between the rows and rows between the images that belong to neither.
  int row_gap = 0;
  int image_gap = 0;
};

std::string Name(const Problem& p) {
  return absl::StrCat("H", p.height, "W", p.width, "C", p.channels, "B", p.batch, "S", p.steps,
                      p.row_gap + p.image_gap > 0 ? "Gaps" : "");
}

// A batch in memory, with its gaps.
struct Batch {
  Batch(const Problem& p, uint8_t fill) : problem(p) {
    const int pitch = p.width * p.channels + p.row_gap, size = pitch * (p.height + p.image_gap);
    memory.assign(static_cast<size_t>(size * p.batch + 64), fill);
    const halide_dimension_t dimensions[] = {
        {0, p.channels, 1}, {0, p.width, p.channels}, {0, p.height, pitch}, {0, p.batch, size}};
    buffer = Buffer<uint8_t, 4>(memory.data(), 4, dimensions);
  }

  std::vector<uint8_t> Image(int b) {
    std::vector<uint8_t> pixels;
    buffer.sliced(3, b).for_each_value([&](uint8_t& pixel) { pixels.push_back(pixel); });
    return pixels;
  }

  void SetImage(int b, const std::vector<uint8_t>& pixels) {
    size_t i = 0;
    buffer.sliced(3, b).for_each_value([&](uint8_t& pixel) { pixel = pixels[i++]; });
  }

  Problem problem;
  std::vector<uint8_t> memory;
  Buffer<uint8_t, 4> buffer;
};

// The arguments of one call, filled at random from a fixed seed, and what they should give.
struct Arguments {
  explicit Arguments(const Problem& p) : problem(p), images(p, 0), output(p, kUntouched), expected(p, kUntouched) {
    std::mt19937 random(17);
    for (int b = 0; b < p.batch; ++b) {
      // Of noise, a narrow range, few values and one value in turn.
      const int low = std::uniform_int_distribution<int>(0, 200)(random);
      const int range = std::vector<int>{255 - low, 40, 3, 0}[static_cast<size_t>(b / kKinds % 4)];
      std::uniform_int_distribution<int> value(low, low + range);
      std::vector<uint8_t> pixels(static_cast<size_t>(p.height * p.width * p.channels));
      for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(value(random));
      images.SetImage(b, pixels);
      for (int s = 0; s < p.steps; ++s) {
        records.push_back(Draw((b + 5 * s) % kKinds, p.height, p.width, random));
        pixels = AugmentOracle(records.back(), pixels, p.height, p.width, p.channels);
      }
      expected.SetImage(b, pixels);
    }
    records_buffer =
        Buffer<int32_t, 3>(reinterpret_cast<int32_t*>(records.data()), kAugmentRecordWords, p.steps, p.batch);
    scratch_images = Buffer<uint8_t, 4>(p.channels, p.width, p.height, p.batch);
    // Pixels dense.
    scratch_images.raw_buffer()->dim[1].stride = p.channels;
    scratch_tables = Buffer<uint8_t, 3>(256, p.channels, p.batch);
  }

  absl::Status Run(Kind kind = Kind::kHost) {
    for (halide_buffer_t* buffer : {images.buffer.raw_buffer(), records_buffer.raw_buffer(), output.buffer.raw_buffer(),
                                    scratch_images.raw_buffer(), scratch_tables.raw_buffer()}) {
      testing::ToDevice(kind, buffer);
    }
    const absl::Status status = Augment(images.buffer, records_buffer, output.buffer,
                                        {scratch_images.raw_buffer(), scratch_tables.raw_buffer()}, {.kind = kind});
    testing::ToHost(kind, output.buffer);
    return status;
  }

  Problem problem;
  Batch images, output, expected;
  std::vector<AugmentRecord> records;
  Buffer<int32_t, 3> records_buffer;
  Buffer<uint8_t, 4> scratch_images;
  Buffer<uint8_t, 3> scratch_tables;
};

std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const int channels : {1, 3}) {
    for (const auto& [height, width] :
         {std::pair{1, 1}, {1, 7}, {7, 1}, {2, 2}, {3, 3}, {5, 31}, {33, 31}, {32, 32}, {28, 28}, {20, 70}}) {
      problems.push_back({.height = height, .width = width, .channels = channels, .batch = 4 * kKinds});
    }
    problems.push_back({.height = 9, .width = 33, .channels = channels, .row_gap = 5, .image_gap = 2});
    problems.push_back({.height = 16, .width = 16, .channels = channels, .steps = 2});
    problems.push_back({.height = 6, .width = 40, .channels = channels, .steps = 5, .row_gap = 3});
  }
  for (const int batch : {1, 7, 9}) problems.push_back({.batch = batch, .steps = 3});
  return problems;
}

class AugmentTest : public ::testing::TestWithParam<Kind> {};

TEST_P(AugmentTest, EqualsTheOracleByteByByteAndWritesNothingElse) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const Problem& problem : Problems()) {
    SCOPED_TRACE(Name(problem));
    Arguments arguments(problem);
    ASSERT_EQ(arguments.Run(GetParam()), absl::OkStatus());
    for (int b = 0; b < problem.batch; ++b) {
      ASSERT_EQ(arguments.output.Image(b), arguments.expected.Image(b))
          << "image " << b << ", first step "
          << static_cast<int>(arguments.records[static_cast<size_t>(b * problem.steps)].kind);
    }
    if (GetParam() == Kind::kHost) {
      EXPECT_EQ(arguments.output.memory, arguments.expected.memory);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AugmentTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

TEST(AugmentHostTest, WorksInPlace) {
  for (const int steps : {0, 1, 2, 3}) {
    Arguments arguments({.height = 12, .width = 9, .steps = steps, .row_gap = 1});
    ASSERT_EQ(Augment(arguments.images.buffer, arguments.records_buffer, arguments.images.buffer), absl::OkStatus());
    for (int b = 0; b < arguments.problem.batch; ++b) {
      EXPECT_EQ(arguments.images.Image(b), arguments.expected.Image(b)) << steps << " steps, image " << b;
    }
  }
}

TEST(AugmentHostTest, CopiesWithoutStepsAndTakesEmptyBatches) {
  for (const Problem& problem : {Problem{.steps = 0}, Problem{.batch = 0}, Problem{.height = 0}, Problem{.width = 0}}) {
    Arguments arguments(problem);
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    EXPECT_EQ(arguments.output.memory, arguments.expected.memory);
  }
}

TEST(AugmentHostTest, GivesTheSameBytesForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    halide_set_num_threads(threads);
    Arguments arguments({.height = 32, .width = 32, .batch = 61, .steps = 2});
    ASSERT_EQ(arguments.Run(), absl::OkStatus());
    EXPECT_EQ(arguments.output.memory, arguments.expected.memory) << threads << " threads";
  }
  halide_set_num_threads(0);
}

std::vector<uint8_t> Augmented(const AugmentRecord& record, std::vector<uint8_t> pixels, int width, int channels = 1) {
  AugmentRecord one = record;
  const int height = static_cast<int>(pixels.size()) / width / channels;
  Buffer<uint8_t, 4> images(pixels.data(), channels, width, height, 1);
  EXPECT_EQ(Augment(images, Buffer<int32_t, 3>(reinterpret_cast<int32_t*>(&one), kAugmentRecordWords, 1, 1), images),
            absl::OkStatus());
  return pixels;
}

TEST(AugmentByHandTest, MovesPixels) {
  const std::vector<uint8_t> image = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_THAT(Augmented(AugmentRecord::TranslateX(1), image, 3), ElementsAre(0, 1, 2, 0, 4, 5, 0, 7, 8));
  EXPECT_THAT(Augmented(AugmentRecord::TranslateX(-2), image, 3), ElementsAre(3, 0, 0, 6, 0, 0, 9, 0, 0));
  EXPECT_THAT(Augmented(AugmentRecord::TranslateY(2), image, 3), ElementsAre(0, 0, 0, 0, 0, 0, 1, 2, 3));
  EXPECT_THAT(Augmented(AugmentRecord::TranslateY(-30000), image, 3), Each(0));
  // Counter-clockwise.
  EXPECT_THAT(Augmented(AugmentRecord::Rotate(90, 3, 3), image, 3), ElementsAre(3, 6, 9, 2, 5, 8, 1, 4, 7));
  EXPECT_THAT(Augmented(AugmentRecord::Rotate(-180, 3, 3), image, 3), ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1));
  // Row y shows what is y + 1/2 further right, rounded down.
  EXPECT_THAT(Augmented(AugmentRecord::ShearX(1), image, 3), ElementsAre(2, 3, 0, 6, 0, 0, 0, 0, 0));
  EXPECT_THAT(Augmented(AugmentRecord::ShearY(-1), image, 3), ElementsAre(1, 0, 0, 4, 2, 0, 7, 5, 3));
}

TEST(AugmentByHandTest, ChangesValues) {
  EXPECT_THAT(Augmented(AugmentRecord::Invert(), {0, 1, 254, 255}, 2), ElementsAre(255, 254, 1, 0));
  EXPECT_THAT(Augmented(AugmentRecord::Solarize(99.5), {99, 100}, 2), ElementsAre(99, 155));
  EXPECT_THAT(Augmented(AugmentRecord::Posterize(2), {63, 64, 200, 255}, 2), ElementsAre(0, 64, 192, 192));
  EXPECT_THAT(Augmented(AugmentRecord::Brightness(1.5), {3, 200}, 2), ElementsAre(4, 255));
  // The mean 100 is left alone.
  EXPECT_THAT(Augmented(AugmentRecord::Contrast(2), {0, 100, 150, 150}, 2), ElementsAre(0, 100, 200, 200));
  EXPECT_THAT(Augmented(AugmentRecord::Autocontrast(), {10, 12, 11, 20}, 2), ElementsAre(0, 51, 25, 255));
  // Grey is (19595 * 200 + 38470 * 100 + 7471 * 50 + 32768) >> 16 = 124.
  EXPECT_THAT(Augmented(AugmentRecord::Color(0.5), {200, 100, 50}, 1, 3), ElementsAre(162, 112, 87));
  // The middle becomes 5 * 26 / 13 = 10; twice as far from that is 42.
  EXPECT_THAT(Augmented(AugmentRecord::Sharpness(2), {0, 0, 0, 0, 26, 0, 0, 0, 0}, 3),
              ElementsAre(0, 0, 0, 0, 42, 0, 0, 0, 0));
}

TEST(AugmentRecordTest, IsInvalidWithAParameterOutOfRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const AugmentRecord& record :
       {AugmentRecord::ShearX(nan), AugmentRecord::ShearY(20000), AugmentRecord::TranslateX(32768),
        AugmentRecord::TranslateY(std::numeric_limits<int>::min()), AugmentRecord::Rotate(infinity, 3, 3),
        AugmentRecord::Rotate(10, -1, 3), AugmentRecord::Rotate(10, 3, 20000), AugmentRecord::Brightness(nan),
        AugmentRecord::Color(1e7), AugmentRecord::Contrast(-infinity), AugmentRecord::Sharpness(nan),
        AugmentRecord::Posterize(9), AugmentRecord::Posterize(-1), AugmentRecord::Solarize(256.5),
        AugmentRecord::Solarize(nan), AugmentRecord::Hue(0.51), AugmentRecord::Hue(nan)}) {
    EXPECT_EQ(record.kind, AugmentKind::kInvalid);
  }
}

// Number of problems that come out wrong.
int WrongProblems() {
  halide_set_num_threads(1);
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.output.memory == arguments.expected.memory) continue;
    std::cerr << "wrong: " << Name(problem) << std::endl;
    ++wrong;
  }
  return wrong;
}

class AugmentInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(AugmentInstructionSetTest, GivesTheSameBytes) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  constexpr int kFunctions = 2;
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), kFunctions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, AugmentInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
                         [](const auto& instance) { return instance.param.name; });

struct BadCall {
  std::string name;
  void (*spoil)(Arguments& arguments);
  std::string message;
};

class AugmentBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(AugmentBadCallTest, IsRefusedAndLeavesTheOutputAlone) {
  Arguments arguments({.batch = 3, .steps = 2});
  GetParam().spoil(arguments);
  const absl::Status status = arguments.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(arguments.output.memory, Each(kUntouched));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, AugmentBadCallTest,
    ::testing::Values(
        BadCall{"MadeOfAParameterOutOfRange", [](Arguments& a) { a.records[3] = AugmentRecord::Hue(2); },
                "records[1,1] of kind -1 is not valid"},
        BadCall{"KindBeyondTheLast", [](Arguments& a) { a.records[5].kind = static_cast<AugmentKind>(11); },
                "records[2,1] of kind 11 is not valid"},
        BadCall{"FactorNotANumber",
                [](Arguments& a) {
                  a.records[0] = {.kind = AugmentKind::kColor, .factor = std::numeric_limits<float>::quiet_NaN()};
                },
                "records[0,0] of kind 8 is not valid"},
        BadCall{"MatrixThatLeadsTooFar",
                [](Arguments& a) {
                  a.records[2] = {.kind = AugmentKind::kAffine, .values = {1 << 16, 1 << 30, 0, 0, 1 << 16, 0}};
                },
                "leads beyond 2^15 pixels of an image of 5 x 7"},
        BadCall{"SevenWords", [](Arguments& a) { a.records_buffer.raw_buffer()->dim[0].extent = 7; },
                "records has shape [3,2,7]; give [B,S,8] = [3,2,8]"},
        BadCall{"WordsApart", [](Arguments& a) { a.records_buffer.raw_buffer()->dim[0].stride = 2; },
                "records has stride 2 of words"},
        BadCall{"FewerImagesOut", [](Arguments& a) { a.output.buffer.raw_buffer()->dim[3].extent = 2; },
                "output has shape [2,5,7,3]; give [B,H,W,C] = [3,5,7,3]"},
        BadCall{"PixelsApart", [](Arguments& a) { a.images.buffer.raw_buffer()->dim[1].stride = 4; },
                "images has strides 1 of C and 4 of W; pixels must be dense"},
        BadCall{"TwoChannels",
                [](Arguments& a) {
                  a.images.buffer.raw_buffer()->dim[0].extent = 2;
                  a.output.buffer.raw_buffer()->dim[0].extent = 2;
                },
                "images has 2 channels; permitted are 1 and 3"},
        BadCall{"TooWide",
                [](Arguments& a) {
                  for (halide_buffer_t* buffer : {a.images.buffer.raw_buffer(), a.output.buffer.raw_buffer()}) {
                    buffer->dim[1].extent = 1 << 15;
                    buffer->dim[2].stride = 3 << 15;
                    buffer->dim[3].stride = 15 << 15;
                  }
                },
                "images are 5 x 32768; permitted are sides up to 32767 and 16777216 pixels in all"},
        BadCall{"ImagesOfFloats", [](Arguments& a) { a.images.buffer.raw_buffer()->type = halide_type_of<float>(); },
                "images has 4 dimensions of f32; give 4 of u8"}),
    [](const auto& instance) { return instance.param.name; });

TEST(AugmentGridTest, RefusesMoreImagesThanAGridHas) {
  Buffer<uint8_t, 4> images(1, 1, 1, 65536), output(1, 1, 1, 65536);
  Buffer<int32_t, 3> records(8, 1, 65536);
  const testing::PretendedDeviceMemory pretended({images, records, output});
  EXPECT_EQ(
      Augment(images, records, output, {}, {Device::Kind::kCuda}),
      absl::InvalidArgumentError("augment: 65536 images; on a GPU at most 65535 are permitted, divide the batch"));
}

}  // namespace
}  // namespace retort::ops
