#include "retort/ops/batch_assembly/batch_assembly.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
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

#include "retort/ops/batch_assembly/batch_assembly_oracle.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/batch_assembly/float16_oracle.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint8_t kUntouched = 0xb7;

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

// How the images lie in memory: pixels dense; planes; the middle channels of more; apart in every dimension.
enum class Source { kDense, kPlanes, kChannelsOfMore, kApart };

std::string Name(Source source) {
  switch (source) {
    case Source::kDense:
      return "";
    case Source::kPlanes:
      return "OfPlanes";
    case Source::kChannelsOfMore:
      return "OfChannelsOfMore";
    case Source::kApart:
      return "OfPixelsApart";
  }
  return "";
}

std::string Name(halide_type_t type) {
  return absl::StrCat(type.code == halide_type_bfloat  ? "bf"
                      : type.code == halide_type_float ? "f"
                                                       : "u",
                      static_cast<int>(type.bits));
}

struct Problem {
  int size = 7;  // N
  int height = 5;
  int width = 7;
  int channels = 3;
  int batch = 3;
  int pad = 4;
  Layout layout = Layout::kPlanar;
  Border border = Border::kZero;
  // u8 is CropBatch.
  halide_type_t type = halide_type_of<float>();
  bool mixed = false;
  bool erased = false;
  Source source = Source::kDense;
};

std::string Name(const Problem& p) {
  return absl::StrCat("H", p.height, "W", p.width, "C", p.channels, "B", p.batch, "Pad", p.pad, Name(p.layout),
                      p.border == Border::kReflect ? "Reflect" : "", p.mixed ? "Mixed" : "", p.erased ? "Erased" : "",
                      Name(p.type), Name(p.source));
}

// As `type` stores it.
void Store(float value, halide_type_t type, uint8_t* to) {
  if (type == halide_type_of<uint8_t>()) {
    *to = static_cast<uint8_t>(value);
  } else if (type == halide_type_of<float>()) {
    std::memcpy(to, &value, sizeof(value));
  } else {
    const uint16_t bits = type == Float16() ? NearestFloat16(value) : NearestBFloat16(value);
    std::memcpy(to, &bits, sizeof(bits));
  }
}

// The arguments of one call, filled at random from a fixed seed, and what they should give.
struct Arguments {
  explicit Arguments(const Problem& problem) : p(problem) {
    std::mt19937 random(17);
    images.resize(static_cast<size_t>(int64_t{p.size} * p.height * p.width * p.channels));
    for (uint8_t& pixel : images) pixel = static_cast<uint8_t>(random());
    const auto shift = [&](int side) {
      const int farthest = p.border == Border::kReflect ? std::min(p.pad, side - 1) : p.pad;
      return std::uniform_int_distribution<int>(-farthest, farthest)(random);
    };
    const auto box = [&] {
      const auto from = [&](int side) { return std::uniform_int_distribution<int>(-2, side + 2)(random); };
      return Box{from(p.height), from(p.width), from(p.height), from(p.width)};
    };
    std::uniform_real_distribution<float> number(-2, 2), share(0, 1);
    for (int b = 0; b < p.batch; ++b) {
      for (int s = 0; s < sources(); ++s) {
        index.push_back(static_cast<int64_t>(random() % static_cast<uint32_t>(p.size)));
        params.push_back(
            {shift(p.height), shift(p.width), static_cast<int32_t>(random() % 2), p.erased ? box() : Box{}});
      }
      lambda.push_back(b % 3 == 0 ? 1 : share(random));
      mix_box.push_back(b % 3 == 1 ? Box{} : box());
    }
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
    const size_t elements = static_cast<size_t>(2 * p.batch * p.channels * p.height * p.width + 64);
    output.assign(elements * static_cast<size_t>(p.type.bytes()), kUntouched);
    expected = output;
    for (int b = 0; b < p.batch; ++b) {
      for (int c = 0; c < p.channels; ++c) {
        for (int y = 0; y < p.height; ++y) {
          for (int x = 0; x < p.width; ++x) {
            Store(Expected(b, c, y, x), p.type,
                  &expected[static_cast<size_t>((b * stride[0] + c * stride[1] + y * stride[2] + x * stride[3]) *
                                                p.type.bytes())]);
          }
        }
      }
    }

    images_buffer = AsTheyLie();
    lambda_buffer = Buffer<float, 1>(lambda.data(), p.batch);
    mix_box_buffer = Buffer<int32_t, 2>(reinterpret_cast<int32_t*>(mix_box.data()), 4, p.batch);
    scale_buffer = Buffer<float, 1>(scale.data(), p.channels);
    offset_buffer = Buffer<float, 1>(offset.data(), p.channels);
    auto* records = reinterpret_cast<int32_t*>(params.data());
    if (p.mixed) {
      index_buffer = Buffer<int64_t>(index.data(), 2, p.batch);
      params_buffer = Buffer<int32_t>(records, 7, 2, p.batch);
    } else {
      index_buffer = Buffer<int64_t>(index.data(), p.batch);
      params_buffer = Buffer<int32_t>(records, 7, p.batch);
    }
    const halide_dimension_t columns = {0, p.width, stride[3]}, rows = {0, p.height, stride[2]},
                             channels = {0, p.channels, stride[1]}, images_of_batch = {0, p.batch, stride[0]};
    const halide_dimension_t nchw[] = {columns, rows, channels, images_of_batch},
                             nhwc[] = {channels, columns, rows, images_of_batch};
    output_buffer = Buffer<void>(p.type, output.data(), 4, p.type == halide_type_of<uint8_t>() ? nhwc : nchw);
  }

  int sources() const { return p.mixed ? 2 : 1; }

  // The images in memory as p.source says, between other bytes.
  Buffer<uint8_t, 4> AsTheyLie() {
    Buffer<uint8_t, 4> dense(images.data(), p.channels, p.width, p.height, p.size);
    const int c = p.channels, w = p.width, h = p.height;
    int channel = 1, pixel = c, row = w * c, image = h * w * c;
    switch (p.source) {
      case Source::kDense:
        return dense;
      case Source::kPlanes:
        channel = h * w;
        pixel = 1;
        row = w;
        break;
      case Source::kChannelsOfMore:
        pixel = c + 2;
        row = w * pixel;
        image = h * row;
        break;
      case Source::kApart:
        channel = 2;
        pixel = 2 * c + 3;
        row = w * pixel + 5;
        image = h * row + 1;
        break;
    }
    memory.assign(static_cast<size_t>(p.size * image + 2), kUntouched);
    const halide_dimension_t dimensions[] = {{0, c, channel}, {0, w, pixel}, {0, h, row}, {0, p.size, image}};
    Buffer<uint8_t, 4> spread(&memory[1], 4, dimensions);
    spread.copy_from(dense);
    return spread;
  }

  float Expected(int b, int c, int y, int x) const {
    const auto view = [&](int s) {
      const auto record = static_cast<size_t>(b * sources() + s);
      const bool pixels = p.type == halide_type_of<uint8_t>();
      return ViewOracle(&images[static_cast<size_t>(index[record] * p.height * p.width * p.channels)], p.height,
                        p.width, p.channels, params[record], p.border, pixels ? nullptr : scale.data(), offset.data(),
                        c, y, x);
    };
    if (!p.mixed) return view(0);
    const Box& box = mix_box[static_cast<size_t>(b)];
    if (y >= box.top && y < box.bottom && x >= box.left && x < box.right) return view(1);
    const float share = lambda[static_cast<size_t>(b)], rest = 1 - share;
    const float first = share * view(0), second = rest * view(1);
    return first + second;
  }

  absl::Status Run(const Device& device = {}) {
    if (p.mixed) {
      return MixedBatchAssembly(images_buffer, index_buffer, params_buffer, lambda_buffer, mix_box_buffer, scale_buffer,
                                offset_buffer, p.border, output_buffer, device);
    }
    if (p.type == halide_type_of<uint8_t>()) {
      return CropBatch(images_buffer, index_buffer, params_buffer, p.border, output_buffer, device);
    }
    return BatchAssembly(images_buffer, index_buffer, params_buffer, scale_buffer, offset_buffer, p.border,
                         output_buffer, device);
  }

  absl::Status RunOn(Device::Kind kind) {
    for (halide_buffer_t* buffer : {images_buffer.raw_buffer(), index_buffer.raw_buffer(), params_buffer.raw_buffer(),
                                    lambda_buffer.raw_buffer(), mix_box_buffer.raw_buffer(), scale_buffer.raw_buffer(),
                                    offset_buffer.raw_buffer(), output_buffer.raw_buffer()}) {
      testing::ToDevice(kind, buffer);
    }
    const absl::Status status = Run({kind});
    testing::ToHost(kind, output_buffer);
    return status;
  }

  Problem p;
  std::vector<uint8_t> images, memory;
  std::vector<int64_t> index;
  std::vector<BatchAssemblyParams> params;
  std::vector<float> lambda, scale, offset;
  std::vector<Box> mix_box;
  std::vector<uint8_t> output, expected;
  std::array<int, 4> stride;  // of [B,C,H,W]
  Buffer<uint8_t, 4> images_buffer;
  Buffer<int64_t> index_buffer;
  Buffer<int32_t> params_buffer;
  Buffer<int32_t, 2> mix_box_buffer;
  Buffer<float, 1> lambda_buffer, scale_buffer, offset_buffer;
  Buffer<void> output_buffer;
};

// Sizes around the vector width of 16, channel counts with and without code of their own, odd batches, every element.
std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast, Layout::kSpaced}) {
    for (const int channels : {1, 2, 3, 4, 5}) {
      for (const auto& [height, width] : {std::pair{1, 1}, {5, 7}, {7, 16}, {16, 17}, {32, 32}, {33, 31}, {3, 40}}) {
        problems.push_back({.height = height, .width = width, .channels = channels, .batch = 5, .layout = layout});
      }
    }
    for (const int channels : {1, 3, 4}) {
      for (const auto& [height, width] : {std::pair{5, 7}, {9, 32}}) {
        for (const Border border : {Border::kZero, Border::kReflect}) {
          for (const halide_type_t type : {halide_type_of<float>(), Float16(), BFloat16()}) {
            for (const bool mixed : {false, true}) {
              problems.push_back({.height = height,
                                  .width = width,
                                  .channels = channels,
                                  .batch = 6,
                                  .layout = layout,
                                  .border = border,
                                  .type = type,
                                  .mixed = mixed,
                                  .erased = true});
            }
          }
          problems.push_back({.height = height,
                              .width = width,
                              .channels = channels,
                              .batch = 6,
                              .layout = layout,
                              .border = border,
                              .type = halide_type_of<uint8_t>(),
                              .erased = channels == 3});
        }
      }
    }
  }
  for (const Source source : {Source::kPlanes, Source::kChannelsOfMore, Source::kApart}) {
    for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast, Layout::kSpaced}) {
      for (const int channels : {1, 3, 4}) {
        for (const auto& [height, width] : {std::pair{5, 7}, {9, 32}, {16, 17}}) {
          const auto add = [&](halide_type_t type, bool mixed) {
            problems.push_back({.height = height,
                                .width = width,
                                .channels = channels,
                                .batch = 5,
                                .layout = layout,
                                .border = width == 7 ? Border::kReflect : Border::kZero,
                                .type = type,
                                .mixed = mixed,
                                .erased = true,
                                .source = source});
          };
          for (const halide_type_t type : {halide_type_of<float>(), Float16(), BFloat16()}) {
            for (const bool mixed : {false, true}) add(type, mixed);
          }
          add(halide_type_of<uint8_t>(), false);
        }
      }
    }
  }
  for (const int batch : {0, 1, 2, 4, 13}) problems.push_back({.batch = batch});
  for (const int pad : {0, 1, 8, 100}) problems.push_back({.height = 9, .width = 24, .batch = 12, .pad = pad});
  problems.push_back({.height = 9, .width = 24, .batch = 12, .pad = 100, .border = Border::kReflect});
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

class BatchAssemblyDeviceTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(BatchAssemblyDeviceTest, EqualsTheOracleBitByBitAndWritesNothingElse) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    ASSERT_EQ(arguments.RunOn(GetParam()), absl::OkStatus()) << Name(problem);
    EXPECT_EQ(arguments.output, arguments.expected) << Name(problem);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchAssemblyDeviceTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

class BatchAssemblyElementTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(BatchAssemblyElementTest, RoundsLargeSmallAndTiedNumbers) {
  const Device::Kind kind = GetParam();
  if (!testing::IsThere(kind)) GTEST_SKIP() << "no " << Name(kind) << " device here";
  // One pixel of 1 an image: each number is its image's scale.
  std::vector<float> numbers = {0.0f,          -0.0f,          1.0f,           65504.0f,    65519.9f,
                                65520.0f,      1e6f,           -1e30f,         6e-8f,       2.9e-8f,
                                -3.1e-8f,      6.1e-5f,        6.0975552e-5f,  1e-40f,      3e38f,
                                1.0009765625f, 1.00048828125f, 1.00146484375f, 1.00390625f, 1.01171875f};
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random()) & 0xfeffffff;  // Never infinite.
    float number;
    std::memcpy(&number, &bits, sizeof(number));
    numbers.push_back(number);
  }
  const int n = static_cast<int>(numbers.size());
  std::vector<uint8_t> pixels(static_cast<size_t>(n), 1);
  std::vector<float> zeros(static_cast<size_t>(n), -0.0f);
  int64_t index = 0;
  BatchAssemblyParams params;
  for (const halide_type_t type : {Float16(), BFloat16()}) {
    std::vector<uint16_t> output(static_cast<size_t>(n));
    Buffer<uint8_t, 4> images(pixels.data(), n, 1, 1, 1);
    Buffer<int64_t, 1> indices(&index, 1);
    Buffer<int32_t, 2> records(&params.dy, 7, 1);
    Buffer<float, 1> scale(numbers.data(), n), offset(zeros.data(), n);
    Buffer<void, 4> batch(type, output.data(), 1, 1, n, 1);
    for (halide_buffer_t* buffer : {images.raw_buffer(), indices.raw_buffer(), records.raw_buffer(), scale.raw_buffer(),
                                    offset.raw_buffer(), batch.raw_buffer()}) {
      testing::ToDevice(kind, buffer);
    }
    ASSERT_EQ(BatchAssembly(images, indices, records, scale, offset, Border::kZero, batch, {kind}), absl::OkStatus());
    testing::ToHost(kind, batch);
    for (int i = 0; i < n; ++i) {
      const float number = numbers[static_cast<size_t>(i)];
      EXPECT_EQ(output[static_cast<size_t>(i)], type == Float16() ? NearestFloat16(number) : NearestBFloat16(number))
          << number << " as " << Name(type);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchAssemblyElementTest, ::testing::ValuesIn(testing::kDevices),
                         testing::DeviceName);

TEST(BatchAssemblyGridTest, RefusesMoreImagesThanAGridHas) {
  constexpr int kBatch = 65536;
  Buffer<uint8_t, 4> images(1, 1, 1, 1), pixels(1, 1, 1, kBatch);
  Buffer<int64_t, 1> index(kBatch);
  Buffer<int64_t, 2> indices(2, kBatch);
  Buffer<int32_t, 2> params(7, kBatch), box(4, kBatch);
  Buffer<int32_t, 3> both(7, 2, kBatch);
  Buffer<float, 1> scale(1), offset(1), lambda(kBatch);
  Buffer<float, 4> output(1, 1, 1, kBatch);
  const testing::PretendedDeviceMemory pretended(
      {images, pixels, index, indices, params, box, both, scale, offset, lambda, output});
  const Device device = {Device::Kind::kCuda};
  const char* message = ": 65536 images; on a GPU at most 65535 are permitted, divide the batch";
  EXPECT_EQ(BatchAssembly(images, index, params, scale, offset, Border::kZero, output, device),
            absl::InvalidArgumentError(absl::StrCat("batch_assembly", message)));
  EXPECT_EQ(MixedBatchAssembly(images, indices, both, lambda, box, scale, offset, Border::kZero, output, device),
            absl::InvalidArgumentError(absl::StrCat("mixed_batch_assembly", message)));
  EXPECT_EQ(CropBatch(images, index, params, Border::kZero, pixels, device),
            absl::InvalidArgumentError(absl::StrCat("crop_batch", message)));
}

TEST(BatchAssemblyByHandTest, ShiftsThenMirrorsThenScales) {
  // 1 2 3      row 1 on, one column further right,      0 6 5
  // 4 5 6      mirrored; the row below is black         0 0 0
  uint8_t pixels[] = {1, 2, 3, 4, 5, 6};
  int64_t index[] = {0};
  BatchAssemblyParams params = {.dy = 1, .dx = 1, .flip = 1, .erase = {}};
  float scale[] = {10}, offset[] = {-1};
  std::vector<float> output(6);
  ASSERT_EQ(BatchAssembly(Buffer<uint8_t, 4>(pixels, 1, 3, 2, 1), Buffer<int64_t, 1>(index, 1),
                          Buffer<int32_t, 2>(&params.dy, 7, 1), Buffer<float, 1>(scale, 1), Buffer<float, 1>(offset, 1),
                          Border::kZero, Buffer<float, 4>(output.data(), 3, 2, 1, 1)),
            absl::OkStatus());
  EXPECT_THAT(output, ElementsAre(-1, 59, 49, -1, -1, -1));
}

TEST(BatchAssemblyByHandTest, TakesTheFarthestShifts) {
  constexpr int32_t kFar = 1 << 20;
  Arguments arguments({.height = 4, .width = 20, .batch = 4});
  arguments.params[0] = {kFar, 0, 0, {}};
  arguments.params[1] = {-kFar, 0, 1, {}};
  arguments.params[2] = {0, kFar, 1, {}};
  arguments.params[3] = {0, -kFar, 0, {}};
  for (float& offset : arguments.offset) offset = 7;
  ASSERT_EQ(arguments.Run(), absl::OkStatus());
  std::vector<float> numbers(4 * 3 * 4 * 20);
  std::memcpy(numbers.data(), arguments.output.data(), numbers.size() * sizeof(float));
  EXPECT_THAT(numbers, Each(7.0f));
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
                          Buffer<int32_t, 2>(&params.dy, 7, 1), Buffer<float, 1>(scale, 1), Buffer<float, 1>(offset, 1),
                          Border::kZero, Buffer<float, 4>(output.data(), kSide, kSide, 1, 1)),
            absl::OkStatus());
  EXPECT_EQ(output.front(), 0);
  EXPECT_EQ(output.back(), 200);
  munmap(block, kBytes);
}

// Bytes that Halide holds for the op, and the most it ever held.
std::atomic<int64_t> held{0}, most_held{0};

void* CountedMalloc(void*, size_t bytes) {
  void* block = std::aligned_alloc(128, (bytes + 127) / 128 * 128 + 128);
  held += static_cast<int64_t>(malloc_usable_size(block));
  most_held = std::max(most_held.load(), held.load());
  return block;
}

void CountedFree(void*, void* block) {
  held -= static_cast<int64_t>(malloc_usable_size(block));
  std::free(block);
}

TEST(BatchAssemblyMemoryTest, IsTheBatchAndAFewRows) {
  Arguments arguments({.height = 32, .width = 32, .batch = 256, .border = Border::kReflect, .mixed = true});
  halide_set_num_threads(2);
  const auto malloc_before = halide_set_custom_malloc(&CountedMalloc);
  const auto free_before = halide_set_custom_free(&CountedFree);
  const absl::Status status = arguments.Run();
  halide_set_custom_malloc(malloc_before);
  halide_set_custom_free(free_before);
  halide_set_num_threads(0);
  ASSERT_EQ(status, absl::OkStatus());
  EXPECT_EQ(held, 0);
  EXPECT_LT(most_held, 8192);  // Of 3 MB of output: on each thread two sources' rows in three planes.
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

// Number of problems that come out wrong.
int WrongProblems() {
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Arguments arguments(problem);
    if (arguments.Run().ok() && arguments.output == arguments.expected) continue;
    std::cerr << "wrong: " << Name(problem) << std::endl;
    ++wrong;
  }
  return wrong;
}

class BatchAssemblyInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(BatchAssemblyInstructionSetTest, GivesTheSameBits) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  constexpr int kFunctions = 7;
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), kFunctions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, BatchAssemblyInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
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
                      BadCall{.name = "OutputTooNarrow",
                              .spoil = [](Arguments& a) { a.output_buffer.raw_buffer()->dim[0].extent = 6; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "output has shape [3,3,5,6]; give [B,C,H,W] = [3,3,5,7]"},
                      BadCall{.name = "TooFewParams",
                              .spoil = [](Arguments& a) { a.params_buffer.raw_buffer()->dim[1].extent = 2; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "params has shape [2,7]; give [B,7] = [3,7]"},
                      BadCall{.name = "TooManyOffsets",
                              .spoil = [](Arguments& a) { a.offset_buffer.raw_buffer()->dim[0].extent = 4; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "offset has shape [4]; give [C] = [3]"},
                      BadCall{.name = "ScaleNotANumber",
                              .spoil = [](Arguments& a) { a.scale[1] = std::numeric_limits<float>::quiet_NaN(); },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "scale[1] is nan; give a finite one"},
                      BadCall{.name = "OffsetInfinite",
                              .spoil = [](Arguments& a) { a.offset[2] = -std::numeric_limits<float>::infinity(); },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "offset[2] is -inf; give a finite one"},
                      BadCall{.name = "NegativeHeight",
                              .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->dim[2].extent = -5; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "images has -5 elements along dim[2]; give 0 or more"},
                      BadCall{.name = "NegativeBatch",
                              .spoil = [](Arguments& a) { a.index_buffer.raw_buffer()->dim[0].extent = -1; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "index has -1 elements along dim[0]; give 0 or more"},
                      BadCall{.name = "RowsOfTheOutputShareMemory",
                              .spoil = [](Arguments& a) { a.output_buffer.raw_buffer()->dim[1].stride = 6; },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "output has elements that share memory"},
                      BadCall{.name = "ReflectedBeyondItsSize",
                              .spoil =
                                  [](Arguments& a) {
                                    a.p.border = Border::kReflect;
                                    for (BatchAssemblyParams& params : a.params) params = {};
                                    a.params[2].dy = -5;
                                  },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "dy of params[2] is -5; permitted are -4..4"},
                      BadCall{.name = "OutputOfIntegers",
                              .spoil = [](Arguments& a) { a.output_buffer.raw_buffer()->type = halide_type_of<int>(); },
                              .code = absl::StatusCode::kInvalidArgument,
                              .message = "output has 4 dimensions of i32; give 4 of f32 or f16 or bf16"},
                      BadCall{.name = "CroppedOrigin",
                              .spoil = [](Arguments& a) { a.images_buffer.raw_buffer()->dim[2].min = 1; },
                              .code = absl::StatusCode::kInternal,
                              .message = "batch_assembly: Halide error"}),
    [](const auto& instance) { return instance.param.name; });

TEST(BatchAssemblyBadCallTest, WithoutABufferIsRefused) {
  Arguments a(Problem{});
  const absl::Status status = BatchAssembly(a.images_buffer, a.index_buffer, a.params_buffer, nullptr, a.offset_buffer,
                                            Border::kZero, a.output_buffer);
  EXPECT_EQ(status, absl::InvalidArgumentError("batch_assembly: scale is missing"));
}

TEST(MixedBatchAssemblyBadCallTest, NamesTheBufferWithoutMemory) {
  constexpr const char* kNames[] = {"images", "index", "params", "lambda", "mix_box", "scale", "offset", "output"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    Arguments a({.mixed = true});
    halide_buffer_t* const buffers[] = {a.images_buffer.raw_buffer(),  a.index_buffer.raw_buffer(),
                                        a.params_buffer.raw_buffer(),  a.lambda_buffer.raw_buffer(),
                                        a.mix_box_buffer.raw_buffer(), a.scale_buffer.raw_buffer(),
                                        a.offset_buffer.raw_buffer(),  a.output_buffer.raw_buffer()};
    buffers[i]->host = nullptr;
    EXPECT_EQ(a.Run(), absl::InvalidArgumentError(absl::StrCat("mixed_batch_assembly: ", kNames[i],
                                                               " has no memory on the host; give one whose host "
                                                               "pointer is set")));
    EXPECT_THAT(a.output, Each(kUntouched));
  }
}

TEST(MixedBatchAssemblyBadCallTest, NamesTheImageAndItsSource) {
  Arguments index({.mixed = true}), lambda({.mixed = true}), box({.mixed = true});
  index.index[5] = 9;
  EXPECT_EQ(index.Run(), absl::OutOfRangeError("mixed_batch_assembly: index[2,1] = 9, but images has 7; permitted are "
                                               "0..6"));
  lambda.lambda[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(lambda.Run(), absl::InvalidArgumentError("mixed_batch_assembly: lambda[1] is nan; permitted are 0..1"));
  box.mix_box_buffer.raw_buffer()->dim[0].extent = 3;
  EXPECT_EQ(box.Run(), absl::InvalidArgumentError("mixed_batch_assembly: mix_box has shape [3,3]; give [B,4] = [3,4]"));
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
