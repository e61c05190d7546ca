// Our side of //tools/bench:cache: see turn.h.
#include <stdlib.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/zeros.h"
#include "absl/status/statusor.h"

#include "retort/kd/targets/target_cache.h"
#include "retort/nn/runtime.h"
#include "retort/tools/bench/turn.h"

namespace retort::bench {
namespace {

constexpr int64_t kBatch = 128;
constexpr int64_t kRecords = 1 << 20;

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  Must(value.status());
  return *std::move(value);
}

std::string Folder() {
  static const std::string* const folder = [] {
    auto* path = new std::string(std::filesystem::temp_directory_path() / "retort_cache_XXXXXX");
    if (mkdtemp(path->data()) == nullptr) std::exit(1);
    std::atexit([] { std::filesystem::remove_all(Folder()); });
    return path;
  }();
  return *folder;
}

std::string Path(int64_t classes) { return Folder() + "/" + std::to_string(classes); }

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Logits of `classes` classes, two bytes each, batch after batch, to a shard on disk.
Case::Round Write(int64_t classes) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  kd::Targets targets;
  targets.logits = at::randn({kBatch, classes}, generator);
  const at::Tensor labels = at::zeros({kBatch}, at::kLong);
  const auto start = Clock::now();
  kd::TargetShardBuilder builder({}, {"benchmark", 0, 0, kRecords});
  for (int64_t done = 0; done < kRecords; done += kBatch) Must(builder.Append(targets, labels));
  Must(builder.Write(Path(classes)));
  return {static_cast<double>(kRecords), Seconds(start)};
}

// Batches of records at random, as numbers that a loss can take.
Case::Round Read(const kd::TargetCache& cache) {
  constexpr int64_t kBatches = 4000;
  at::Generator generator = at::detail::createCPUGenerator(2);
  const at::Tensor images = at::randint(kRecords, {kBatches, kBatch}, generator, at::kLong);
  const at::Tensor view = at::zeros({kBatch}, at::kLong);
  kd::TargetRequest request;
  request.logits = true;
  const auto start = Clock::now();
  for (int64_t i = 0; i < kBatches; ++i) Must(cache.Gather(view, images[i], request));
  return {static_cast<double>(kBatches * kBatch), Seconds(start)};
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const int64_t bytes : {44, 404}) {
    const int64_t classes = bytes / 2;
    cases.push_back({"write" + std::to_string(bytes), [classes] { return [classes] { return Write(classes); }; }});
    cases.push_back({"read" + std::to_string(bytes), [classes] {
                       Write(classes);
                       const auto cache = std::make_shared<kd::TargetCache>(
                           Must(kd::TargetCache::Open({{0, "benchmark", {Path(classes)}}})));
                       return [cache] { return Read(*cache); };
                     }});
  }
  return cases;
}

}  // namespace
}  // namespace retort::bench

int main() {
  retort::nn::ConfigureRuntime(/*threads=*/1);
  return retort::bench::TakeTurns(retort::bench::Cases());
}
