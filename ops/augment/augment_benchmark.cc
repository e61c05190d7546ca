// Images a second of each augmentation step, 32 x 32 x 3 in batches of 512, on a GPU of 4,096.
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
#include "benchmark/benchmark.h"

#include "retort/ops/augment/augment.h"
#include "retort/ops/augment/augment_record.h"
#include "retort/ops/device.h"
#include "retort/testing/benchmarks.h"

namespace retort::ops {
namespace {

constexpr int kBatch = 512, kSide = 32, kChannels = 3;

struct Step {
  const char* name;
  AugmentRecord record;
};

void BM_Augment(benchmark::State& state, const AugmentRecord& record, int threads) {
  halide_set_num_threads(threads);
  std::mt19937 random(3);
  std::vector<uint8_t> pixels(kBatch * kSide * kSide * kChannels), result(pixels.size());
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
  std::vector<AugmentRecord> steps(kBatch, record);
  Halide::Runtime::Buffer<uint8_t, 4> images(pixels.data(), kChannels, kSide, kSide, kBatch);
  Halide::Runtime::Buffer<uint8_t, 4> output(result.data(), kChannels, kSide, kSide, kBatch);
  Halide::Runtime::Buffer<int32_t, 3> records(reinterpret_cast<int32_t*>(steps.data()), kAugmentRecordWords, 1, kBatch);
  for (auto _ : state) {
    if (const absl::Status status = Augment(images, records, output); !status.ok()) {
      std::cerr << status << std::endl;
      std::exit(1);
    }
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

// Each image is read and written.
void BM_OnDevice(benchmark::State& state, Device::Kind kind, const AugmentRecord& record, int batch) {
  using ::Halide::Runtime::Buffer;
  Buffer<uint8_t, 4> images(kChannels, kSide, kSide, batch), output(kChannels, kSide, kSide, batch);
  std::mt19937 random(3);
  images.for_each_value([&](uint8_t& pixel) { pixel = static_cast<uint8_t>(random()); });
  output.fill(0);
  Buffer<uint8_t, 3> tables(256, kChannels, batch);
  tables.fill(0);
  std::vector<AugmentRecord> steps(static_cast<size_t>(batch), record);
  Buffer<int32_t, 3> records(reinterpret_cast<int32_t*>(steps.data()), kAugmentRecordWords, 1, batch);
  testing::OnDevice(state, kind, {images, records, tables, output},
                    {"images", static_cast<double>(batch), 2.0 * batch * kSide * kSide * kChannels},
                    [&](const Device& device) {
                      return Augment(images, records, output, {nullptr, tables}, device);
                    });
}

void RegisterAll() {
  for (const auto& [name, record] : {
           Step{"identity", AugmentRecord::Identity()},
           Step{"shear_x", AugmentRecord::ShearX(0.2)},
           Step{"shear_y", AugmentRecord::ShearY(0.2)},
           Step{"translate_x", AugmentRecord::TranslateX(9)},
           Step{"translate_y", AugmentRecord::TranslateY(-9)},
           Step{"rotate", AugmentRecord::Rotate(20, kSide, kSide)},
           Step{"brightness", AugmentRecord::Brightness(1.4)},
           Step{"color", AugmentRecord::Color(1.4)},
           Step{"contrast", AugmentRecord::Contrast(0.6)},
           Step{"sharpness", AugmentRecord::Sharpness(1.7)},
           Step{"posterize", AugmentRecord::Posterize(5)},
           Step{"solarize", AugmentRecord::Solarize(100)},
           Step{"autocontrast", AugmentRecord::Autocontrast()},
           Step{"equalize", AugmentRecord::Equalize()},
           Step{"invert", AugmentRecord::Invert()},
           Step{"hue", AugmentRecord::Hue(0.1)},
       }) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(absl::StrCat(name, "/threads:", threads).c_str(), BM_Augment, record, threads)
          ->UseRealTime();
    }
    benchmark::RegisterBenchmark(absl::StrCat(name, "/CUDA").c_str(), BM_OnDevice, Device::Kind::kCuda, record, 4096)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace retort::ops

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  retort::ops::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
