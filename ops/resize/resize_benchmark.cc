// What training on photographs does to an image once it is decoded: 256 of 500x375, RandomResizedCrop to 224 (area
// 0.08..1, aspect 3/4..4/3, antialiased bilinear), mirrored at random, normalised to planar f32, in batches of 32; and
// the same from JPEGs of quality 90, of which only the part that the view shows is decoded.
//
//   bazel run //ops/resize:resize_benchmark
#include <malloc.h>

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
#include "absl/types/span.h"
#include "benchmark/benchmark.h"

#include "retort/ops/check_arguments.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/encoded_fixtures.h"
#include "retort/ops/codecs/image.h"
#include "retort/ops/device.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"
#include "retort/ops/resize/resize.h"
#include "retort/testing/benchmarks.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

constexpr int kImages = 256, kHeight = 375, kWidth = 500, kChannels = 3, kBatch = 32, kSide = 224;

CropResizeParams RandomResizedCrop(std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  CropResizeParams params;
  do {
    const double area = kHeight * kWidth * (0.08 + 0.92 * uniform(random));
    const double ratio = std::exp(std::log(0.75) + uniform(random) * std::log(16.0 / 9));
    params.height = static_cast<int>(std::lround(std::sqrt(area / ratio)));
    params.width = static_cast<int>(std::lround(std::sqrt(area * ratio)));
  } while (params.height > kHeight || params.width > kWidth);
  params.top = static_cast<int>(random() % static_cast<uint32_t>(kHeight - params.height + 1));
  params.left = static_cast<int>(random() % static_cast<uint32_t>(kWidth - params.width + 1));
  params.resized_height = params.resized_width = kSide;
  params.flip = static_cast<int>(random() % 2);
  return params;
}

// What all benchmarks share.
struct Workload {
  Workload(halide_type_t type, bool channels_last, int threads)
      : memory(size_t{kBatch} * kChannels * kSide * kSide * 4) {
    // Memory that is freed stays with the process, as in the programs that train.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    halide_set_num_threads(threads);
    std::mt19937 random(3);
    for (int i = 0; i < kImages; ++i) params.push_back(RandomResizedCrop(random));
    const int plane = channels_last ? 1 : kSide * kSide, pixel = channels_last ? kChannels : 1;
    const halide_dimension_t dimensions[] = {
        {0, kSide, pixel}, {0, kSide, kSide * pixel}, {0, kChannels, plane}, {0, kBatch, kChannels * kSide * kSide}};
    output = Buffer<void, 4>(type, memory.data(), 4, dimensions);
    scale.fill(0.0171f);
    offset.fill(-2.1f);
    erased.fill(0);
  }

  void Run(absl::Span<halide_buffer_t* const> images, absl::Span<const CropResizeParams> views, Filter filter) {
    const absl::Status status = CropResize(images, views, filter, scale, offset, erased, output);
    if (status.ok()) return;
    std::cerr << status << std::endl;
    std::exit(1);
  }

  std::vector<CropResizeParams> params;
  std::vector<uint8_t> memory;
  Buffer<void, 4> output;
  Buffer<float, 1> scale{kChannels}, offset{kChannels}, erased{kChannels};
};

void CountImages(benchmark::State& state) {
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch, benchmark::Counter::kIsRate);
}

void BM_CropResize(benchmark::State& state, Filter filter, halide_type_t type, bool channels_last, int threads) {
  Workload workload(type, channels_last, threads);
  const std::vector<uint8_t> pixels = SmoothPixels(kHeight * kImages, kWidth, kChannels);
  std::vector<Buffer<uint8_t, 3>> images;
  for (size_t i = 0; i < kImages; ++i) {
    images.emplace_back(const_cast<uint8_t*>(&pixels[i * kHeight * kWidth * kChannels]), kChannels, kWidth, kHeight);
  }
  std::vector<halide_buffer_t*> pointers;
  for (Buffer<uint8_t, 3>& image : images) pointers.push_back(image);
  size_t next = 0;
  for (auto _ : state) {
    workload.Run({&pointers[next], kBatch}, {&workload.params[next], kBatch}, filter);
    next = (next + kBatch) % kImages;
  }
  CountImages(state);
}

void BM_DecodeAndCropResize(benchmark::State& state) {
  Workload workload(halide_type_of<float>(), false, 1);
  const std::string jpeg = EncodeJpeg(kHeight, kWidth);
  size_t next = 0;
  for (auto _ : state) {
    std::vector<Image> decoded(kBatch);
    std::vector<Buffer<uint8_t, 3>> images(kBatch);
    std::vector<halide_buffer_t*> pointers;
    std::vector<CropResizeParams> params(&workload.params[next], &workload.params[next] + kBatch);
    for (size_t i = 0; i < kBatch; ++i) {
      DecodeOptions options;
      options.region = {params[i].top, params[i].left, params[i].height, params[i].width};
      decoded[i] = DecodeImage({reinterpret_cast<const uint8_t*>(jpeg.data()), jpeg.size()}, options).value();
      images[i] = Buffer<uint8_t, 3>(decoded[i].pixels.data(), kChannels, decoded[i].width, decoded[i].height);
      pointers.push_back(images[i]);
      params[i].top = params[i].left = 0;
    }
    workload.Run(pointers, params, Filter::kBilinear);
    next = (next + kBatch) % kImages;
  }
  CountImages(state);
}

// From 256 residents in batches of as many; at least the output is written and as many pixels are read.
void BM_OnDevice(benchmark::State& state, Device::Kind kind, halide_type_t type, bool channels_last) {
  std::vector<CropResizeParams> params;
  std::mt19937 random(3);
  for (int i = 0; i < kImages; ++i) params.push_back(RandomResizedCrop(random));
  CropResizeTables tables = MakeCropResizeTables(params, Filter::kBilinear, {{kHeight, kWidth}}, kSide, kSide).value();
  Buffer<uint8_t, 4> images(kChannels, kWidth, kHeight, kImages);
  images.fill(100);
  Buffer<int64_t, 1> index(kImages);
  index.for_each_element([&](int b) { index(b) = b; });
  Buffer<float, 1> scale(kChannels), offset(kChannels), erased(kChannels);
  scale.fill(0.0171f);
  offset.fill(-2.1f);
  erased.fill(0);
  constexpr int kElements = kChannels * kSide * kSide;
  const int plane = channels_last ? 1 : kSide * kSide, pixel = channels_last ? kChannels : 1;
  const halide_dimension_t dimensions[] = {
      {0, kSide, pixel}, {0, kSide, kSide * pixel}, {0, kChannels, plane}, {0, kImages, kElements}};
  std::vector<uint8_t> memory(size_t{kImages} * kElements * static_cast<size_t>(type.bytes()));
  Buffer<void, 4> output(type, memory.data(), 4, dimensions);
  testing::OnDevice(state, kind,
                    {images, index, tables.x_first, tables.x_weight, tables.y_first, tables.y_weight, tables.erase,
                     scale, offset, erased, output},
                    {"images", kImages, 1.0 * kImages * kElements * (1 + type.bytes())}, [&](const Device& device) {
                      return CropResizeResident(images, index, tables, scale, offset, erased, output, device);
                    });
}

const halide_type_t kFloat = halide_type_of<float>();

BENCHMARK_CAPTURE(BM_CropResize, bilinear_planar_1_thread, Filter::kBilinear, kFloat, false, 1)->UseRealTime();
BENCHMARK_CAPTURE(BM_CropResize, bilinear_planar_2_threads, Filter::kBilinear, kFloat, false, 2)->UseRealTime();
BENCHMARK_CAPTURE(BM_CropResize, bilinear_channels_last_1_thread, Filter::kBilinear, kFloat, true, 1)->UseRealTime();
BENCHMARK_CAPTURE(BM_CropResize, bilinear_channels_last_bf16_1_thread, Filter::kBilinear, BFloat16(), true, 1)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_CropResize, bicubic_planar_1_thread, Filter::kBicubic, kFloat, false, 1)->UseRealTime();
BENCHMARK_CAPTURE(BM_OnDevice, CUDA_planar_f32, Device::Kind::kCuda, kFloat, false)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_OnDevice, CUDA_channels_last_bf16, Device::Kind::kCuda, BFloat16(), true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DecodeAndCropResize)->UseRealTime();

}  // namespace
}  // namespace retort::ops

BENCHMARK_MAIN();
