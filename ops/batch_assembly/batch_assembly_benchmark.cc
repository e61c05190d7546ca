// batch_assembly and a scalar pass in turns: 50,000 random images in random order, crop with 4 pixels of padding, flip,
// cutout of 8, normalise, batches of 128. Columns: median images a second of both, and the median, least and greatest
// ratio of a turn.
//
//   bazel run //ops/batch_assembly:batch_assembly_benchmark
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"

#include "retort/ops/batch_assembly/batch_assembly.h"
#include "retort/ops/batch_assembly/batch_assembly_oracle.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/device.h"
#include "retort/testing/benchmarks.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

constexpr int kImages = 50000;
constexpr int kBatch = 128;
constexpr int kBatchesPerTurn = 64;

void BM_BatchAssembly(benchmark::State& state, int side, int channels, bool channels_last, int threads) {
  halide_set_num_threads(threads);
  std::mt19937 random(3);
  const int elements = side * side * channels;
  std::vector<uint8_t> images(static_cast<size_t>(kImages) * static_cast<size_t>(elements));
  std::mt19937_64 eight_pixels(5);
  for (size_t i = 0; i + 8 <= images.size(); i += 8) {
    const uint64_t pixels = eight_pixels();
    std::memcpy(&images[i], &pixels, 8);
  }
  std::vector<int64_t> index(kBatch * kBatchesPerTurn);
  std::vector<BatchAssemblyParams> params(index.size());
  for (int64_t& image : index) image = random() % kImages;
  for (BatchAssemblyParams& p : params) {
    const int top = static_cast<int>(random() % static_cast<uint32_t>(side)) - 4;
    const int left = static_cast<int>(random() % static_cast<uint32_t>(side)) - 4;
    p = {static_cast<int>(random() % 9) - 4, static_cast<int>(random() % 9) - 4, static_cast<int>(random() % 2),
         Box{top, left, top + 8, left + 8}};
  }
  std::vector<float> scale(static_cast<size_t>(channels), 0.016f), offset(static_cast<size_t>(channels), -1.9f);
  std::vector<float> ours(static_cast<size_t>(kBatch * elements)), scalar(ours.size());

  const int stride[] = {elements, channels_last ? 1 : side * side, channels_last ? side * channels : side,
                        channels_last ? channels : 1};
  const halide_dimension_t dimensions[] = {
      {0, side, stride[3]}, {0, side, stride[2]}, {0, channels, stride[1]}, {0, kBatch, stride[0]}};
  Buffer<uint8_t, 4> images_buffer(images.data(), channels, side, side, kImages);
  Buffer<float, 1> scale_buffer(scale.data(), channels), offset_buffer(offset.data(), channels);
  Buffer<float, 4> output_buffer(ours.data(), 4, dimensions);

  const auto fused = [&] {
    for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
      const absl::Status status =
          BatchAssembly(images_buffer, Buffer<int64_t, 1>(&index[static_cast<size_t>(batch * kBatch)], kBatch),
                        Buffer<int32_t, 2>(&params[static_cast<size_t>(batch * kBatch)].dy, 7, kBatch), scale_buffer,
                        offset_buffer, Border::kZero, output_buffer);
      if (!status.ok()) {
        std::cerr << status << std::endl;
        std::exit(1);
      }
    }
  };
  const auto plain = [&] {
    for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
      BatchAssemblyOracle(images.data(), side, side, channels, &index[static_cast<size_t>(batch * kBatch)],
                          &params[static_cast<size_t>(batch * kBatch)], kBatch, scale.data(), offset.data(),
                          scalar.data(), {stride[0], stride[1], stride[2], stride[3]});
      benchmark::ClobberMemory();
    }
  };
  testing::InTurns(state, kBatch * kBatchesPerTurn, "images", fused, "scalar", plain);
  if (ours != scalar) {
    std::cerr << "The results differ." << std::endl;
    std::exit(1);
  }
}

void BM_OnDevice(benchmark::State& state, Device::Kind kind, halide_type_t type, bool channels_last, int batch) {
  constexpr int kSide = 32, kChannels = 3, kElements = kSide * kSide * kChannels;
  std::mt19937 random(3);
  Buffer<uint8_t, 4> images(kChannels, kSide, kSide, kImages);
  images.fill(100);
  Buffer<int64_t, 1> index(batch);
  Buffer<int32_t, 2> params(7, batch);
  params.fill(0);
  for (int b = 0; b < batch; ++b) {
    index(b) = random() % kImages;
    params(0, b) = static_cast<int>(random() % 9) - 4;
    params(1, b) = static_cast<int>(random() % 9) - 4;
    params(2, b) = static_cast<int>(random() % 2);
  }
  Buffer<float, 1> scale(kChannels), offset(kChannels);
  scale.fill(0.016f);
  offset.fill(-1.9f);
  const halide_dimension_t dimensions[] = {{0, kSide, channels_last ? kChannels : 1},
                                           {0, kSide, channels_last ? kSide * kChannels : kSide},
                                           {0, kChannels, channels_last ? 1 : kSide * kSide},
                                           {0, batch, kElements}};
  std::vector<uint8_t> memory(static_cast<size_t>(batch) * kElements * static_cast<size_t>(type.bytes()));
  Buffer<void, 4> output(type, memory.data(), 4, dimensions);
  testing::OnDevice(state, kind, {images, index, params, scale, offset, output},
                    {"images", static_cast<double>(batch), 1.0 * batch * kElements * (1 + type.bytes())},
                    [&](const Device& device) {
                      return BatchAssembly(images, index, params, scale, offset, Border::kZero, output, device);
                    });
}

void RegisterOnDevice(Device::Kind kind) {
  for (const int batch : {1024, kImages}) {
    for (const bool channels_last : {false, true}) {
      for (const halide_type_t type : {halide_type_of<float>(), Float16(), BFloat16()}) {
        const std::string name =
            absl::StrCat("BM_BatchAssembly/", std::string(Name(kind)), "/", channels_last ? "channels_last" : "planar",
                         type == Float16()    ? "/f16/"
                         : type == BFloat16() ? "/bf16/"
                                              : "/f32/",
                         batch);
        benchmark::RegisterBenchmark(
            name.c_str(), [=](benchmark::State& state) { BM_OnDevice(state, kind, type, channels_last, batch); })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
}

BENCHMARK_CAPTURE(BM_BatchAssembly, 32x32x3_planar_1_thread, 32, 3, false, 1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_BatchAssembly, 32x32x3_channels_last_1_thread, 32, 3, true, 1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_BatchAssembly, 32x32x3_channels_last_2_threads, 32, 3, true, 2)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_BatchAssembly, 28x28x1_1_thread, 28, 1, false, 1)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort::ops

int main(int argc, char** argv) {
  retort::ops::RegisterOnDevice(retort::ops::Device::Kind::kCuda);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
