#include "retort/ops/resize/resize.h"

#include <algorithm>
#include <cmath>
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
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/batch_assembly/float16_oracle.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/codecs/image.h"
#include "retort/ops/device.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/instruction_sets.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::Each;
using ::testing::HasSubstr;

// The oracle: sums over all pixels of the source, in the words of resample_weights.h and resize.h.

double Filtered(Filter filter, double x) {
  const double pi = std::acos(-1.0), d = std::abs(x);
  switch (filter) {
    case Filter::kNearest:
    case Filter::kBox:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return d < 1 ? 1 - d : 0;
    case Filter::kBicubic:
      return d < 1 ? 1.5 * d * d * d - 2.5 * d * d + 1 : d < 2 ? -0.5 * d * d * d + 2.5 * d * d - 4 * d + 2 : 0;
    case Filter::kLanczos:
      return d == 0 ? 1 : d < 3 ? 3 * std::sin(pi * d) * std::sin(pi * d / 3) / (pi * pi * d * d) : 0;
  }
  return 0;
}

// Pixel o of `out` of a row, or column, of `in` pixels.
template <typename Source>
uint8_t OraclePixel(Filter filter, int in, int out, int o, Source source) {
  const double step = static_cast<double>(in) / out, centre = (o + 0.5) * step;
  if (filter == Filter::kNearest) {
    double sum = step / 2;  // of o steps, one by one, as resize_pillow_test.py found Pillow to do it
    for (int i = 0; i < o; ++i) sum += step;
    return source(static_cast<int>(sum));
  }
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i < in; ++i) {
    weights.push_back(Filtered(filter, (i + 0.5 - centre) / std::max(1.0, step)));
    sum += weights.back();
  }
  int64_t total = 1 << 21;
  for (int i = 0; i < in; ++i) {
    total += std::llround(weights[static_cast<size_t>(i)] / sum * (1 << 22)) * source(i);
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(total >> 22, 0, 255));
}

// The box of a dense image, resized: [H',W',C].
std::vector<uint8_t> OracleResize(const uint8_t* image, int image_width, int channels, const CropResizeParams& p,
                                  Filter filter) {
  const auto size = [&](int height) {
    return static_cast<size_t>(height) * static_cast<size_t>(p.resized_width) * static_cast<size_t>(channels);
  };
  std::vector<uint8_t> rows(size(p.height)), result(size(p.resized_height));
  const auto place = [&](int y, int x, int c) { return static_cast<size_t>((y * p.resized_width + x) * channels + c); };
  for (int y = 0; y < p.height; ++y) {
    for (int x = 0; x < p.resized_width; ++x) {
      for (int c = 0; c < channels; ++c) {
        rows[place(y, x, c)] = OraclePixel(filter, p.width, p.resized_width, x, [&](int i) {
          return image[((p.top + y) * image_width + p.left + i) * channels + c];
        });
      }
    }
  }
  for (int y = 0; y < p.resized_height; ++y) {
    for (int x = 0; x < p.resized_width; ++x) {
      for (int c = 0; c < channels; ++c) {
        result[place(y, x, c)] =
            OraclePixel(filter, p.height, p.resized_height, y, [&](int i) { return rows[place(i, x, c)]; });
      }
    }
  }
  return result;
}

enum class Layout { kPlanar, kInterleaved, kSpaced };

// How the images lie in memory: pixels dense; planes; the middle channels of more; apart in every dimension.
enum class Source { kDense, kPlanes, kChannelsOfMore, kApart };

struct Problem {
  std::string name;
  int channels = 3;
  int height = 20, width = 33;  // of the views
  Filter filter = Filter::kBilinear;
  halide_type_t type = halide_type_of<float>();
  Layout layout = Layout::kPlanar;
  int largest = 70;  // side of a source
  int batch = 5;
  int row_gap = 0;  // bytes between rows of the source
  Source source = Source::kDense;
};

// Sides around the tile (16), the vector (32) and each number of taps with loops of its own.
std::vector<Problem> Problems() {
  const halide_type_t u8 = halide_type_of<uint8_t>();
  return {
      {.name = "Planar"},
      {.name = "PlanarBicubic", .filter = Filter::kBicubic},
      {.name = "PlanarNearest", .filter = Filter::kNearest},
      {.name = "PlanarBox", .filter = Filter::kBox},
      {.name = "PlanarLanczos", .filter = Filter::kLanczos},
      {.name = "Interleaved", .layout = Layout::kInterleaved},
      {.name = "InterleavedBicubic", .filter = Filter::kBicubic, .layout = Layout::kInterleaved},
      {.name = "Spaced", .layout = Layout::kSpaced},
      {.name = "WideViews", .height = 7, .width = 101},
      {.name = "WholeVectors", .height = 16, .width = 64},
      {.name = "TinyViews", .height = 1, .width = 1},
      {.name = "NarrowViews", .height = 40, .width = 3, .layout = Layout::kInterleaved},
      {.name = "TinySources", .largest = 3},
      {.name = "LargeSources", .height = 5, .width = 9, .largest = 300, .batch = 2},
      {.name = "RowsApart", .row_gap = 13},
      {.name = "Grey", .channels = 1},
      {.name = "GreyInterleaved", .channels = 1, .layout = Layout::kInterleaved, .row_gap = 1},
      {.name = "TwoChannels", .channels = 2},
      {.name = "FourChannels", .channels = 4},
      {.name = "FourChannelsInterleaved", .channels = 4, .filter = Filter::kBicubic, .layout = Layout::kInterleaved},
      {.name = "Half", .type = Float16()},
      {.name = "HalfInterleaved", .type = Float16(), .layout = Layout::kInterleaved},
      {.name = "BFloat", .type = BFloat16()},
      {.name = "BFloatSpaced", .type = BFloat16(), .layout = Layout::kSpaced},
      {.name = "Pixels", .type = u8},
      {.name = "PixelsInterleaved", .filter = Filter::kBicubic, .type = u8, .layout = Layout::kInterleaved},
      {.name = "OfPlanes", .source = Source::kPlanes},
      {.name = "OfPlanesInterleaved",
       .filter = Filter::kBicubic,
       .layout = Layout::kInterleaved,
       .row_gap = 3,
       .source = Source::kPlanes},
      {.name = "OfPlanesPixels", .type = u8, .layout = Layout::kSpaced, .source = Source::kPlanes},
      {.name = "OfChannelsOfMore", .source = Source::kChannelsOfMore},
      {.name = "OfChannelsOfMoreHalf",
       .type = Float16(),
       .layout = Layout::kInterleaved,
       .source = Source::kChannelsOfMore},
      {.name = "OfOneChannelOfMore", .channels = 1, .type = BFloat16(), .source = Source::kChannelsOfMore},
      {.name = "OfPixelsApart", .filter = Filter::kLanczos, .source = Source::kApart},
      {.name = "OfPixelsApartPixels",
       .channels = 4,
       .type = u8,
       .layout = Layout::kInterleaved,
       .source = Source::kApart},
      {.name = "EmptyBatch", .batch = 0},
  };
}

constexpr float kScale[] = {1 / 57.0f, 1 / 255.0f, -0.7f, 3e-6f};
constexpr float kOffset[] = {-2.1f, 1e-6f, 100, 0};
constexpr float kErased[] = {0, -7.25f, 1, 1 / 3.0f};
constexpr uint8_t kUntouched = 0xab;

// The arguments of one call, filled at random from a fixed seed.
struct Call {
  explicit Call(Problem problem) : p(std::move(problem)) {
    std::mt19937 random(29);
    const auto below = [&](int end) { return static_cast<int>(random() % static_cast<uint32_t>(end)); };
    // All images lie in one [N,H,W,C], so that the same views can be made of residents; N is B + 1.
    image_height = 1 + below(p.largest) / 2 + p.largest / 2;
    image_width = 1 + below(p.largest) / 2 + p.largest / 2;
    switch (p.source) {
      case Source::kDense:
        pixel = p.channels;
        break;
      case Source::kPlanes:
        pixel = 1;
        break;
      case Source::kChannelsOfMore:
        pixel = p.channels + 2;
        break;
      case Source::kApart:
        channel = 2;
        pixel = 2 * p.channels + 3;
        break;
    }
    row = image_width * pixel + p.row_gap;
    image_bytes = image_height * row;
    if (p.source == Source::kPlanes) {
      channel = image_bytes;
      image_bytes *= p.channels;
    }
    pixels.resize(static_cast<size_t>((p.batch + 1) * image_bytes));
    for (uint8_t& byte : pixels) byte = static_cast<uint8_t>(below(4) == 0 ? below(2) * 255 : below(256));
    for (int b = 0; b < p.batch; ++b) {
      index.push_back((b * 2 + 1) % (p.batch + 1));
      CropResizeParams view;
      view.height = 1 + below(image_height);
      view.width = 1 + below(image_width);
      view.top = below(image_height - view.height + 1);
      view.left = below(image_width - view.width + 1);
      view.window_top = b % 2 == 0 ? 0 : below(5);
      view.window_left = b % 2 == 0 ? 0 : below(5);
      view.resized_height = p.height + view.window_top + (b % 3 == 0 ? 0 : below(9));
      view.resized_width = p.width + view.window_left + (b % 3 == 0 ? 0 : below(9));
      view.flip = below(2);
      if (p.type != halide_type_of<uint8_t>() && b % 2 == 1) {
        view.erase_height = 1 + below(p.height);
        view.erase_width = 1 + below(p.width);
        view.erase_top = below(p.height - view.erase_height + 1);
        view.erase_left = below(p.width - view.erase_width + 1);
      }
      params.push_back(view);
    }
    const int c = p.channels, h = p.height, w = p.width;
    switch (p.layout) {
      case Layout::kPlanar:
        stride = {1, w, h * w, c * h * w};
        break;
      case Layout::kInterleaved:
        stride = {c, w * c, 1, c * h * w};
        break;
      case Layout::kSpaced:
        stride = {2, 2 * w + 3, (2 * w + 3) * h, (2 * w + 3) * h * c + 7};
        break;
    }
    memory.assign(static_cast<size_t>((stride[3] * std::max(p.batch, 1) + 64) * p.type.bytes()), kUntouched);
    const halide_dimension_t dimensions[] = {
        {0, w, stride[0]}, {0, h, stride[1]}, {0, c, stride[2]}, {0, p.batch, stride[3]}};
    output = Buffer<void, 4>(p.type, memory.data(), 4, dimensions);
    // In a list each is of its own size: rows and columns beyond the box are cut off, but for a few.
    for (size_t b = 0; b < index.size(); ++b) {
      const CropResizeParams& view = params[b];
      const ImageSize size = {std::min(image_height, view.top + view.height + below(3)),
                              std::min(image_width, view.left + view.width + below(3))};
      const halide_dimension_t image[] = {{0, c, channel}, {0, size.width, pixel}, {0, size.height, row}};
      images.emplace_back(&pixels[static_cast<size_t>(index[b] * image_bytes)], 3, image);
      sizes.push_back(size);
    }
    const halide_dimension_t all[] = {
        {0, c, channel}, {0, image_width, pixel}, {0, image_height, row}, {0, p.batch + 1, image_bytes}};
    resident = Buffer<uint8_t, 4>(pixels.data(), 4, all);
    index_buffer = Buffer<int64_t, 1>(index.data(), p.batch);
    for (auto* values : {&scale, &offset, &erased}) *values = Buffer<float, 1>(c);
    for (int i = 0; i < c; ++i) {
      scale(i) = kScale[i];
      offset(i) = kOffset[i];
      erased(i) = kErased[i];
    }
  }

  halide_buffer_t* Number(Buffer<float, 1>& values) {
    return p.type == halide_type_of<uint8_t>() ? nullptr : values.raw_buffer();
  }

  absl::Status Run() {
    std::vector<halide_buffer_t*> pointers;
    for (Buffer<uint8_t, 3>& image : images) pointers.push_back(image);
    return CropResize(pointers, params, p.filter, Number(scale), Number(offset), Number(erased), output);
  }

  absl::StatusOr<CropResizeTables> Tables() const {
    return MakeCropResizeTables(params, p.filter, sizes, p.height, p.width);
  }

  absl::StatusOr<CropResizeTables> ResidentTables() const {
    return MakeCropResizeTables(params, p.filter, {{image_height, image_width}}, p.height, p.width);
  }

  absl::Status RunWith(CropResizeTables& tables, const Device& device) {
    std::vector<halide_buffer_t*> pointers;
    for (Buffer<uint8_t, 3>& image : images) {
      pointers.push_back(image);
      testing::ToDevice(device.kind, image);
    }
    AllToDevice(tables, device);
    const absl::Status status =
        CropResize(pointers, tables, Number(scale), Number(offset), Number(erased), output, device);
    testing::ToHost(device.kind, output);
    return status;
  }

  absl::Status RunResident(const Device& device) {
    auto tables = ResidentTables();
    if (!tables.ok()) return tables.status();
    testing::ToDevice(device.kind, resident);
    testing::ToDevice(device.kind, index_buffer);
    AllToDevice(*tables, device);
    const absl::Status status = CropResizeResident(resident, index_buffer, *tables, Number(scale), Number(offset),
                                                   Number(erased), output, device);
    testing::ToHost(device.kind, output);
    return status;
  }

  // But for images and index.
  void AllToDevice(CropResizeTables& tables, const Device& device) {
    for (halide_buffer_t* buffer :
         {tables.x_first.raw_buffer(), tables.x_weight.raw_buffer(), tables.y_first.raw_buffer(),
          tables.y_weight.raw_buffer(), tables.erase.raw_buffer(), scale.raw_buffer(), offset.raw_buffer(),
          erased.raw_buffer(), output.raw_buffer()}) {
      testing::ToDevice(device.kind, buffer);
    }
  }

  // What the output's memory should be.
  std::vector<uint8_t> Expected() const {
    std::vector<uint8_t> expected(memory.size(), kUntouched);
    for (int b = 0; b < p.batch; ++b) {
      const CropResizeParams& v = params[static_cast<size_t>(b)];
      // Dense pixels for the oracle.
      std::vector<uint8_t> image;
      for (int y = 0; y < image_height; ++y) {
        for (int x = 0; x < image_width; ++x) {
          for (int c = 0; c < p.channels; ++c) {
            image.push_back(pixels[static_cast<size_t>(index[static_cast<size_t>(b)] * image_bytes + y * row +
                                                       x * pixel + c * channel)]);
          }
        }
      }
      const std::vector<uint8_t> resized = OracleResize(image.data(), image_width, p.channels, v, p.filter);
      for (int y = 0; y < p.height; ++y) {
        for (int x = 0; x < p.width; ++x) {
          for (int c = 0; c < p.channels; ++c) {
            const int from = v.window_left + (v.flip == 1 ? p.width - 1 - x : x);
            const uint8_t resized_pixel =
                resized[static_cast<size_t>(((v.window_top + y) * v.resized_width + from) * p.channels + c)];
            const bool is_erased = y >= v.erase_top && y < v.erase_top + v.erase_height && x >= v.erase_left &&
                                   x < v.erase_left + v.erase_width;
            volatile float product = static_cast<float>(resized_pixel) * kScale[c];
            const float value = is_erased ? kErased[c] : product + kOffset[c];
            void* place = &expected[static_cast<size_t>(
                (x * stride[0] + y * stride[1] + c * stride[2] + b * stride[3]) * p.type.bytes())];
            if (p.type == halide_type_of<uint8_t>()) *static_cast<uint8_t*>(place) = resized_pixel;
            if (p.type == halide_type_of<float>()) *static_cast<float*>(place) = value;
            if (p.type == Float16()) *static_cast<uint16_t*>(place) = NearestFloat16(value);
            if (p.type == BFloat16()) *static_cast<uint16_t*>(place) = NearestBFloat16(value);
          }
        }
      }
    }
    return expected;
  }

  Problem p;
  int image_height, image_width;
  int channel = 1, pixel, row, image_bytes;  // strides of the source
  std::vector<uint8_t> pixels, memory;
  std::vector<int64_t> index;
  std::vector<CropResizeParams> params;
  std::vector<ImageSize> sizes;  // of images
  std::vector<int> stride;
  std::vector<Buffer<uint8_t, 3>> images;
  Buffer<uint8_t, 4> resident;
  Buffer<int64_t, 1> index_buffer;
  Buffer<float, 1> scale, offset, erased;
  Buffer<void, 4> output;
};

class CropResizeTest : public ::testing::TestWithParam<Problem> {};

TEST_P(CropResizeTest, EqualsTheOracle) {
  Call call(GetParam());
  ASSERT_EQ(call.Run(), absl::OkStatus());
  EXPECT_TRUE(call.memory == call.Expected());
}

INSTANTIATE_TEST_SUITE_P(Problems, CropResizeTest, ::testing::ValuesIn(Problems()),
                         [](const auto& instance) { return instance.param.name; });

class CropResizeTablesTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(CropResizeTablesTest, EqualsTheOracle) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const Problem& problem : Problems()) {
    Call call(problem);
    auto tables = call.Tables();
    ASSERT_EQ(tables.status(), absl::OkStatus()) << problem.name;
    ASSERT_EQ(call.RunWith(*tables, {GetParam()}), absl::OkStatus()) << problem.name;
    EXPECT_TRUE(call.memory == call.Expected()) << problem.name;
  }
}

TEST_P(CropResizeTablesTest, ResizesAWholeImage) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  std::mt19937 random(7);
  for (const auto& [height, width] : {std::pair{31, 50}, {90, 64}, {1, 7}}) {
    CropResizeParams p;
    p.height = height;
    p.width = width;
    p.resized_height = 29;
    p.resized_width = 37;
    Buffer<uint8_t, 3> image(3, width, height), output(3, 37, 29);
    image.for_each_value([&](uint8_t& pixel) { pixel = static_cast<uint8_t>(random()); });
    for (const Filter filter : {Filter::kNearest, Filter::kBicubic}) {
      auto tables = MakeResizeTables(filter, {height, width}, 29, 37);
      ASSERT_EQ(tables.status(), absl::OkStatus());
      for (halide_buffer_t* buffer : {image.raw_buffer(), tables->x_first.raw_buffer(), tables->x_weight.raw_buffer(),
                                      tables->y_first.raw_buffer(), tables->y_weight.raw_buffer(),
                                      tables->erase.raw_buffer(), output.raw_buffer()}) {
        testing::ToDevice(GetParam(), buffer);
      }
      ASSERT_EQ(Resize(image, *tables, output, {GetParam()}), absl::OkStatus());
      testing::ToHost(GetParam(), output);
      EXPECT_TRUE(std::vector<uint8_t>(output.begin(), output.end()) == OracleResize(image.data(), width, 3, p, filter))
          << height << "x" << width;
    }
  }
}

// What a device cannot refuse must not lead out of memory either.
TEST_P(CropResizeTablesTest, ClampsOnADeviceAndRefusesOnTheHost) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  Call call({});
  auto tables = call.Tables();
  ASSERT_EQ(tables.status(), absl::OkStatus());
  tables->x_first(3, 1) = 1 << 20;
  tables->y_first(19, 4) = -5;
  const absl::Status status = call.RunWith(*tables, {GetParam()});
  if (GetParam() == Device::Kind::kHost) {
    EXPECT_EQ(status, absl::InvalidArgumentError("crop_resize: tables of view 1 lead out of the image"));
    EXPECT_THAT(call.memory, Each(kUntouched));
  } else {
    EXPECT_EQ(status, absl::OkStatus());
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, CropResizeTablesTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

struct BadTables {
  std::string name;
  void (*spoil)(Call& call, CropResizeTables& tables);
  std::string message;
};

class CropResizeBadTablesTest : public ::testing::TestWithParam<BadTables> {};

TEST_P(CropResizeBadTablesTest, AreRefusedAndLeaveTheOutputAlone) {
  Call call({.name = "Pixels", .type = halide_type_of<uint8_t>()});
  auto tables = call.Tables();
  ASSERT_EQ(tables.status(), absl::OkStatus());
  GetParam().spoil(call, *tables);
  EXPECT_EQ(call.RunWith(*tables, {}), absl::InvalidArgumentError("crop_resize: " + GetParam().message));
  EXPECT_THAT(call.memory, Each(kUntouched));
}

INSTANTIATE_TEST_SUITE_P(
    Tables, CropResizeBadTablesTest,
    ::testing::Values(BadTables{"OneImageLess", [](Call& c, CropResizeTables&) { c.images.pop_back(); },
                                "there are 4 images; give 5, as many as the output holds"},
                      BadTables{"ImageOfFourChannels",
                                [](Call& c, CropResizeTables&) { c.images[2].raw_buffer()->dim[0].extent = 4; },
                                "images[2] has 4 channels; give 3, as the output has"},
                      BadTables{"FewTaps", [](Call&, CropResizeTables& to) { to.x_taps.pop_back(); },
                                "x_taps has 4 numbers; give B = 5, as MakeCropResizeTables does"},
                      BadTables{"NoTap", [](Call&, CropResizeTables& to) { to.y_taps[3] = 0; },
                                "y_taps[3] is 0; the table has room for 1..4"},
                      BadTables{"ManyTaps", [](Call&, CropResizeTables& to) { to.y_taps[0] = 5; },
                                "y_taps[0] is 5; the table has room for 1..4"},
                      BadTables{"OfFewerViews",
                                [](Call&, CropResizeTables& to) { to.erase = Buffer<int32_t, 2>(4, 3); },
                                "erase has shape [3,4]; give [B,4] = [5,4]"},
                      BadTables{"ErasedPixels",
                                [](Call&, CropResizeTables& to) {
                                  to.erase(2, 3) = 4;
                                  to.erase(3, 3) = 6;
                                },
                                "params[3] erases 4x6, but erasing is for normalised outputs"},
                      BadTables{"OfALargerImage",
                                [](Call& c, CropResizeTables&) {
                                  c.images[1].raw_buffer()->dim[2].extent = c.params[1].top + c.params[1].height - 1;
                                },
                                "tables of view 1 lead out of the image"}),
    [](const auto& instance) { return instance.param.name; });

class CropResizeResidentTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(CropResizeResidentTest, EqualsTheOracle) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const Problem& problem : Problems()) {
    Call call(problem);
    ASSERT_EQ(call.RunResident({GetParam()}), absl::OkStatus()) << problem.name;
    EXPECT_TRUE(call.memory == call.Expected()) << problem.name;
  }
}

// What a device cannot refuse must not lead out of memory either.
TEST_P(CropResizeResidentTest, ClampsOnADeviceAndRefusesOnTheHost) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  Call call({});
  call.index = {1 << 20, -5, std::numeric_limits<int64_t>::min(), 3, 99};
  const absl::Status status = call.RunResident({GetParam()});
  if (GetParam() == Device::Kind::kHost) {
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("index[0] = 1048576, but images has 6; permitted are 0..5"));
  } else {
    EXPECT_EQ(status, absl::OkStatus());
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, CropResizeResidentTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

TEST(CropResizeResidentTest, RefusesTablesThatLeadOutOfTheImage) {
  Call call({});
  auto tables = call.ResidentTables();
  ASSERT_EQ(tables.status(), absl::OkStatus());
  tables->y_first(19, 4) = call.image_height;
  const absl::Status status =
      CropResizeResident(call.resident, call.index_buffer, *tables, call.scale, call.offset, call.erased, call.output);
  EXPECT_EQ(status, absl::InvalidArgumentError("crop_resize: tables of view 4 lead out of the image"));
  EXPECT_THAT(call.memory, Each(kUntouched));
}

TEST(CropResizeResidentTest, RefusesTablesThatErasePixels) {
  Call call({.name = "Pixels", .type = halide_type_of<uint8_t>()});
  auto tables = call.ResidentTables();
  ASSERT_EQ(tables.status(), absl::OkStatus());
  tables->erase(2, 3) = 4;
  tables->erase(3, 3) = 6;
  EXPECT_EQ(CropResizeResident(call.resident, call.index_buffer, *tables, nullptr, nullptr, nullptr, call.output),
            absl::InvalidArgumentError("crop_resize: params[3] erases 4x6, but erasing is for normalised outputs"));
  EXPECT_THAT(call.memory, Each(kUntouched));
}

TEST(CropResizeResidentTest, RefusesTablesThatAreCroppedOrTransposed) {
  Call call({});
  const auto message = [&](void (*spoil)(CropResizeTables & tables)) {
    auto tables = call.ResidentTables();
    EXPECT_EQ(tables.status(), absl::OkStatus());
    spoil(*tables);
    const absl::Status status = CropResizeResident(call.resident, call.index_buffer, *tables, call.scale, call.offset,
                                                   call.erased, call.output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(call.memory, Each(kUntouched));
    return std::string(status.message());
  };
  constexpr int kBatch = 5;
  EXPECT_THAT(message([](CropResizeTables& t) { t.x_first = Buffer<int32_t, 2>(43, kBatch).cropped(0, 10, 33); }),
              HasSubstr("x_first is cropped or transposed (dim[0] from 10 on, stride 1)"));
  EXPECT_THAT(message([](CropResizeTables& t) { t.y_first = Buffer<int32_t, 2>(30, kBatch).cropped(0, 0, 20); }),
              HasSubstr("y_first is cropped or transposed (dim[1] from 0 on, stride 30)"));
  EXPECT_THAT(message([](CropResizeTables& t) { t.x_weight = Buffer<int32_t, 3>(33, 2, kBatch).transposed(0, 1); }),
              HasSubstr("x_weight is cropped or transposed (dim[0] from 0 on, stride 33)"));
  EXPECT_THAT(message([](CropResizeTables& t) { t.erase = Buffer<int32_t, 2>(kBatch, 4).transposed(0, 1); }),
              HasSubstr("erase is cropped or transposed (dim[0] from 0 on, stride 5)"));
}

TEST(MakeCropResizeTablesTest, RefusesSidesThatAreNone) {
  const auto message = [](int image_height, int image_width, int height, int width) {
    return std::string(
        MakeCropResizeTables({}, Filter::kBox, {{image_height, image_width}}, height, width).status().message());
  };
  EXPECT_EQ(message(0, 1, 1, 1), "crop_resize: images are of height 0; permitted are 1..16777216");
  EXPECT_EQ(message(1, (1 << 24) + 1, 1, 1), "crop_resize: images are of width 16777217; permitted are 1..16777216");
  EXPECT_EQ(message(1, 1, -5, 1), "crop_resize: views are of height -5; permitted are 1..16777216");
  EXPECT_EQ(message(1, 1, 1, -5), "crop_resize: views are of width -5; permitted are 1..16777216");
  EXPECT_EQ(message(1, 1, 1, 1), "");
}

TEST(MakeCropResizeTablesTest, WantsOneSizeOrOneForEach) {
  const std::vector<CropResizeParams> params(3);
  EXPECT_EQ(MakeCropResizeTables(params, Filter::kBox, {{1, 1}, {2, 2}}, 1, 1).status(),
            absl::InvalidArgumentError(
                "crop_resize: there are 2 sizes of images and 3 params; give one size for all, or one for each"));
}

// Images times channels, in a grid's third dimension.
TEST(CropResizeResidentTest, RefusesMoreImagesThanAGridHas) {
  constexpr int kBatch = 21846;
  std::vector<CropResizeParams> params(kBatch);
  for (CropResizeParams& p : params) p.height = p.width = p.resized_height = p.resized_width = 1;
  auto tables = MakeCropResizeTables(params, Filter::kBox, {{1, 1}}, 1, 1);
  ASSERT_EQ(tables.status(), absl::OkStatus());
  Buffer<uint8_t, 4> images(3, 1, 1, 1), output(1, 1, 3, kBatch);
  Buffer<int64_t, 1> index(kBatch);
  const testing::PretendedDeviceMemory pretended(
      {images, index, tables->x_first, tables->x_weight, tables->y_first, tables->y_weight, tables->erase, output});
  EXPECT_EQ(CropResizeResident(images, index, *tables, nullptr, nullptr, nullptr, output, {Device::Kind::kCuda}),
            absl::InvalidArgumentError("crop_resize: 65538 images times channels; on a GPU at most 65535 are "
                                       "permitted, divide the batch"));
}

TEST(ResizeTest, EqualsTheOracleForEveryRatioOfSizes) {
  std::mt19937 random(5);
  for (int i = 0; i < 60; ++i) {
    const int height = 1 + static_cast<int>(random() % 90), width = 1 + static_cast<int>(random() % 90);
    CropResizeParams p;
    p.height = height;
    p.width = width;
    p.resized_height = 1 + static_cast<int>(random() % 90);
    p.resized_width = 1 + static_cast<int>(random() % 90);
    std::vector<uint8_t> image(static_cast<size_t>(height * width * 3));
    for (uint8_t& pixel : image) pixel = static_cast<uint8_t>(random());
    std::vector<uint8_t> result(static_cast<size_t>(p.resized_height * p.resized_width * 3));
    for (const Filter filter : {Filter::kBilinear, Filter::kBicubic}) {
      ASSERT_EQ(Resize(Buffer<uint8_t, 3>(image.data(), 3, width, height), filter,
                       Buffer<uint8_t, 3>(result.data(), 3, p.resized_width, p.resized_height)),
                absl::OkStatus());
      EXPECT_TRUE(result == OracleResize(image.data(), width, 3, p, filter))
          << height << "x" << width << " to " << p.resized_height << "x" << p.resized_width;
    }
  }
}

TEST(ResizeTest, LeavesAnImageOfTheSameSizeAsItIs) {
  std::vector<uint8_t> image(37 * 41 * 3), result(image.size());
  std::mt19937 random(5);
  for (uint8_t& pixel : image) pixel = static_cast<uint8_t>(random());
  for (const Filter filter : {Filter::kNearest, Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos}) {
    ASSERT_EQ(Resize(Buffer<uint8_t, 3>(image.data(), 3, 41, 37), filter, Buffer<uint8_t, 3>(result.data(), 3, 41, 37)),
              absl::OkStatus());
    EXPECT_EQ(result, image);
  }
}

TEST(CropResizeThreadsTest, GivesTheSameBitsForAnyNumber) {
  Call one({}), three({});
  const int threads = halide_set_num_threads(1);
  EXPECT_EQ(one.Run(), absl::OkStatus());
  halide_set_num_threads(3);
  EXPECT_EQ(three.Run(), absl::OkStatus());
  halide_set_num_threads(threads);
  EXPECT_EQ(one.memory, three.memory);
}

// Number of problems that come out wrong.
int WrongProblems() {
  int wrong = 0;
  for (const Problem& problem : Problems()) {
    Call call(problem);
    if (call.Run().ok() && call.memory == call.Expected()) continue;
    std::cerr << "wrong: " << problem.name << std::endl;
    ++wrong;
  }
  return wrong;
}

class CropResizeInstructionSetTest : public ::testing::TestWithParam<testing::InstructionSet> {};

TEST_P(CropResizeInstructionSetTest, GivesTheSameBits) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";  // A new process for each.
  constexpr int kFunctions = 4;
  EXPECT_EXIT(std::exit(testing::WrongOn(GetParam(), kFunctions, WrongProblems)), ::testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Masks, CropResizeInstructionSetTest, ::testing::ValuesIn(testing::InstructionSets()),
                         [](const auto& instance) { return instance.param.name; });

struct BadCall {
  std::string name;
  void (*spoil)(Call& call);
  std::string message;
};

class CropResizeBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(CropResizeBadCallTest, IsRefusedAndLeavesTheOutputAlone) {
  Call call({});
  GetParam().spoil(call);
  const absl::Status status = call.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(call.memory, Each(kUntouched));
}

constexpr int kMost = std::numeric_limits<int>::max();

INSTANTIATE_TEST_SUITE_P(
    Calls, CropResizeBadCallTest,
    ::testing::Values(
        BadCall{"BoxTooHigh", [](Call& c) { c.params[3].height = c.image_height + 1; },
                "params[3]: the box's rows are "},
        BadCall{"BoxTooFarLeft", [](Call& c) { c.params[0].left = -1; }, "params[0]: the box's columns are "},
        BadCall{"BoxFarAway", [](Call& c) { c.params[0].top = kMost; }, "from 2147483647 on; there are "},
        BadCall{"EmptyBox", [](Call& c) { c.params[0].width = 0; }, "the box's columns are 0 from "},
        BadCall{"WindowTooWide", [](Call& c) { c.params[1].resized_width = 32; }, "the window's columns are 33 from "},
        BadCall{"WindowTooLow", [](Call& c) { c.params[1].window_top = kMost; }, "the window's rows are 20 from "},
        BadCall{"ResizedTooLarge", [](Call& c) { c.params[1].resized_width = kMost; },
                "permitted are sides up to 16777216"},
        BadCall{"FlipTwo", [](Call& c) { c.params[2].flip = 2; }, "params[2]: flip is 2; permitted are 0 and 1"},
        BadCall{"ErasedBeyond", [](Call& c) { c.params[2].erase_width = 34; }, "the columns to erase are 34 from 0 on"},
        BadCall{"ErasedNegative", [](Call& c) { c.params[2].erase_height = -1; }, "the rows to erase are -1 from 0 on"},
        BadCall{"OneImageLess", [](Call& c) { c.images.pop_back(); },
                "there are 4 images and 5 params; give 5 of each"},
        BadCall{"OneParamLess", [](Call& c) { c.params.pop_back(); },
                "there are 5 images and 4 params; give 5 of each"},
        BadCall{"InfiniteScale", [](Call& c) { c.scale(1) = INFINITY; }, "scale[1] is inf; give a finite one"},
        BadCall{"OffsetNotANumber", [](Call& c) { c.offset(0) = NAN; }, "offset[0] is "},
        BadCall{"FewScales", [](Call& c) { c.scale.crop(0, 0, 2); }, "scale has shape [2]"},
        BadCall{"ImageOfFloats", [](Call& c) { c.images[2].raw_buffer()->type = halide_type_of<float>(); },
                "images[2] "},
        BadCall{"ImageOfFourChannels", [](Call& c) { c.images[2].raw_buffer()->dim[0].extent = 4; },
                "images[2] has 4 channels; give 3"},
        BadCall{"ImageOfOneColumn", [](Call& c) { c.images[2].raw_buffer()->dim[1].stride = 0; },
                "pixels in a row with stride 0; give a stride of 1 or more and rows of up to 1073741824 bytes"},
        BadCall{"ImageMirrored", [](Call& c) { c.images[2].raw_buffer()->dim[1].stride = -3; },
                "pixels in a row with stride -3"},
        BadCall{"ImageOfLongRows", [](Call& c) { c.images[2].raw_buffer()->dim[1].stride = 1 << 30; },
                "pixels in a row with stride 1073741824"},
        BadCall{"ImageEmpty", [](Call& c) { c.images[2].raw_buffer()->dim[2].extent = 0; }, "is of height 0"},
        BadCall{"ImageShifted", [](Call& c) { c.images[2].raw_buffer()->dim[2].min = 3; }, "minima of 0"},
        BadCall{"OutputFolded", [](Call& c) { c.output.raw_buffer()->dim[1].stride = 0; },
                "output has elements that share memory"},
        BadCall{"OutputOfInts", [](Call& c) { c.output.raw_buffer()->type = halide_type_of<int32_t>(); },
                "output has 4 dimensions of i32; give 4 of "},
        BadCall{"OutputOfFiveChannels",
                [](Call& c) {
                  c.output.raw_buffer()->dim[2] = {0, 5, 5 * c.output.dim(3).stride()};
                },
                "output has 5 channels; permitted are 1..4"}),
    [](const auto& instance) { return instance.param.name; });

TEST(CropResizeBadCallTest, PixelsAreNotNormalised) {
  Call call({.name = "Pixels", .type = halide_type_of<uint8_t>()});
  EXPECT_EQ(CropResize({}, {}, Filter::kBox, call.scale, nullptr, nullptr, call.output.cropped(3, 0, 0)),
            absl::InvalidArgumentError("crop_resize: scale is there, but pixels (u8) are not normalised; give none"));
}

TEST(CropResizeBadCallTest, WithoutABufferIsRefused) {
  EXPECT_EQ(Resize(nullptr, Filter::kBox, nullptr).code(), absl::StatusCode::kInvalidArgument);
  Call call({});
  EXPECT_EQ(CropResize({nullptr, nullptr, nullptr, nullptr, nullptr}, call.params, Filter::kBox, call.scale,
                       call.offset, call.erased, call.output)
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ResampleWeightsTest, LieWithinTheSourceAndAddUp) {
  for (const Filter filter : {Filter::kNearest, Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos}) {
    for (int in = 1; in < 80; ++in) {
      for (int out = 1; out < 80; ++out) {
        const ResampleWeights weights = MakeResampleWeights(filter, in, out, {0, out, false});
        ASSERT_EQ(weights.first.size(), static_cast<size_t>(out));
        ASSERT_EQ(weights.weight.size(), static_cast<size_t>(out * weights.taps));
        for (int o = 0; o < out; ++o) {
          const int first = weights.first[static_cast<size_t>(o)];
          ASSERT_TRUE(first >= 0 && first + weights.taps <= in) << in << " to " << out;
          int64_t sum = 0;
          for (int t = 0; t < weights.taps; ++t) sum += weights.weight[static_cast<size_t>(o * weights.taps + t)];
          ASSERT_NEAR(static_cast<double>(sum), 1 << 22, weights.taps) << in << " to " << out;
        }
      }
    }
  }
}

TEST(ResampleWeightsTest, OfAWindowAreThoseOfTheWhole) {
  for (const Filter filter : {Filter::kNearest, Filter::kBicubic}) {
    const ResampleWeights whole = MakeResampleWeights(filter, 50, 31, {0, 31, false});
    const ResampleWeights part = MakeResampleWeights(filter, 50, 31, {9, 12, true});
    ASSERT_EQ(part.taps, whole.taps);
    for (size_t o = 0; o < 12; ++o) {
      EXPECT_EQ(part.first[o], whole.first[20 - o]);
      for (size_t t = 0; t < static_cast<size_t>(part.taps); ++t) {
        EXPECT_EQ(part.weight[o * static_cast<size_t>(part.taps) + t],
                  whole.weight[(20 - o) * static_cast<size_t>(part.taps) + t]);
      }
    }
  }
}

}  // namespace
}  // namespace retort::ops
