// Our side of tools/bench/ops.py, which says what each case is.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "absl/status/statusor.h"
#include "google/protobuf/text_format.h"

#include "retort/data/augment.pb.h"
#include "retort/data/augment_plan.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/nn/runtime.h"
#include "retort/tools/bench/torch_data_peer.h"
#include "retort/tools/bench/turn.h"

namespace retort::bench {
namespace {

constexpr int64_t kImages = 50000, kBatch = 128;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

Case::Round Timed(double units, const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return {units, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

// 50,000 random images of 32x32x3, the same in every case.
const data::Dataset& Images() {
  static const data::Dataset* const images = [] {
    std::mt19937 random(1);
    std::vector<uint8_t> pixels(static_cast<size_t>(kImages) * 32 * 32 * 3);
    for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
    return new data::Dataset(Must(data::MakeDataset(std::move(pixels), std::vector<int64_t>(kImages), 32, 32, 3,
                                                    std::vector<std::string>(10, "class"))));
  }();
  return *images;
}

// A pass over the images in a new order each round, through the batcher that the trainer uses.
std::function<Case::Round()> Pass(int threads, const std::vector<const char*>& steps) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> messages;
  for (const char* step : steps) {
    if (!google::protobuf::TextFormat::ParseFromString(step, messages.Add())) std::exit(1);
  }
  auto batcher = std::make_shared<data::Batcher>(Must(
      data::Batcher::Create(&Images(), Must(data::AugmentPlan::Create(messages, 7)),
                            {{0.4914, 0.4822, 0.4465}, {0.247, 0.2435, 0.2616}}, data::Batcher::Layout::kContiguous)));
  auto order = std::make_shared<std::vector<int64_t>>(kImages);
  std::iota(order->begin(), order->end(), 0);
  auto epoch = std::make_shared<int64_t>(0);
  return [=] {
    at::set_num_threads(threads);
    std::shuffle(order->begin(), order->end(), std::mt19937(static_cast<uint32_t>(*epoch)));
    return Timed(kImages, [&] {
      for (int64_t i = 0; i < kImages; i += kBatch) {
        Must(batcher->Assemble(absl::MakeConstSpan(*order).subspan(static_cast<size_t>(i), kBatch), {*epoch}));
      }
      ++*epoch;
    });
  };
}

const char* const kCrop = "crop { pad: 4 }";
const char* const kFlip = "flip {}";
const char* const kCutout = "cutout { size: 8 }";

std::vector<Case> Cases() {
  return {
      {"C1",
       [] {
         return Pass(1, {kCrop, kFlip, kCutout});
       }},
      {"C1_crop_flip",
       [] {
         return Pass(1, {kCrop, kFlip});
       }},
      {"C1b",
       [] {
         return Pass(2, {kCrop, kFlip, kCutout});
       }},
      {"C4_torch_data",
       [] {
         return [] {
           at::set_num_threads(1);
           constexpr int64_t kSome = 5000;
           return Timed(kSome, [] { TorchDataPass(Images().images, kSome); });
         };
       }},
  };
}

}  // namespace
}  // namespace retort::bench

int main() {
  retort::nn::ConfigureRuntime(2);
  return retort::bench::TakeTurns(retort::bench::Cases());
}
