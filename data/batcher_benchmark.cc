// Images a second of whole batches, from the resident set to f32 channels_last, on 32 x 32 x 3 images in random order.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "google/protobuf/text_format.h"

#include "retort/data/augment.pb.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"

namespace retort::data {
namespace {

constexpr int64_t kSize = 50000, kSide = 32, kChannels = 3, kBatch = 512;

struct Recipe {
  const char* name;
  std::vector<const char*> steps;
};

// Random, but with the histograms of photographs rather than of noise: an image has a brightness and a contrast.
const Dataset& Images() {
  static const Dataset* const dataset = [] {
    std::mt19937 random(1);
    auto storage = std::make_shared<std::vector<uint8_t>>();
    for (int64_t i = 0; i < kSize; ++i) {
      std::uniform_int_distribution<int> value(static_cast<int>(random() % 100),
                                               130 + static_cast<int>(random() % 126));
      for (int64_t p = 0; p < kSide * kSide * kChannels; ++p) storage->push_back(static_cast<uint8_t>(value(random)));
    }
    auto labels = std::make_shared<std::vector<int64_t>>(kSize);
    auto* made = new Dataset;
    made->images = *storage;
    made->labels = *labels;
    made->storage = std::make_shared<std::pair<decltype(storage), decltype(labels)>>(storage, labels);
    made->size = kSize;
    made->height = made->width = kSide;
    made->channels = kChannels;
    return made;
  }();
  return *dataset;
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::cerr << value.status() << std::endl;
  std::exit(1);
}

void BM_Assemble(benchmark::State& state, const Recipe& recipe, int threads) {
  at::set_num_threads(threads);
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  for (const char* const text : recipe.steps) {
    if (!google::protobuf::TextFormat::ParseFromString(text, steps.Add())) std::exit(1);
  }
  const Batcher batcher =
      OrDie(Batcher::Create(&Images(), OrDie(ViewPlan::Create(steps, 1)), {{0.49, 0.48, 0.45}, {0.25, 0.24, 0.26}},
                            Batcher::Layout::kChannelsLast));
  std::mt19937 random(2);
  std::vector<int64_t> index(kBatch);
  int64_t view = 0;
  for (auto _ : state) {
    for (int64_t& image : index) image = static_cast<int64_t>(random() % kSize);
    benchmark::DoNotOptimize(OrDie(batcher.Assemble(index, {view++})));
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void RegisterAll() {
  const Recipe recipes[] = {
      {"crop_flip", {"crop {}", "flip {}"}},
      {"auto_augment", {"crop {}", "flip {}", "auto_augment {}"}},
      {"auto_augment_cutout", {"crop {}", "flip {}", "auto_augment {}", "cutout {}"}},
      {"rand_augment", {"crop {}", "flip {}", "rand_augment {}"}},
      {"trivial_augment", {"crop {}", "flip {}", "trivial_augment {}"}},
      {"aug_mix", {"crop {}", "flip {}", "aug_mix {}"}},
      {"color_jitter",
       {"crop {}", "flip {}",
        "color_jitter { brightness { min: 0.6 max: 1.4 } contrast { min: 0.6 max: 1.4 } saturation { min: 0.6 max: 1.4 "
        "} "
        "hue { min: -0.1 max: 0.1 } }"}},
  };
  for (const Recipe& recipe : recipes) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(absl::StrCat(recipe.name, "/threads:", threads).c_str(), BM_Assemble, recipe,
                                   threads)
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace retort::data

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  retort::data::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
