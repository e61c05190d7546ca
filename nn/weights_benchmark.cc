// Loading a file of weights against a plain read of it, in turns; the file is in the page cache.
//
//   bazel run //nn:weights_benchmark -- --benchmark_filter=Base
//
// Counters are medians: load_ms, read_ms, and ratio, load over read of the same turn.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "ATen/ops/ones.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"

#include "retort/data/io/safetensors.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/weights.h"

namespace retort::nn {
namespace {

// Names and shapes of timm's ViT with patches of 16 and images of 224.
std::vector<NamedTensor> Vit(int64_t width, int64_t classes) {
  std::vector<NamedTensor> tensors;
  const auto add = [&](const std::string& name, at::IntArrayRef shape) { tensors.emplace_back(name, at::ones(shape)); };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {width});
    add(name + ".bias", {width});
  };
  add("cls_token", {1, 1, width});
  add("pos_embed", {1, 197, width});
  add("patch_embed.proj.weight", {width, 3, 16, 16});
  add("patch_embed.proj.bias", {width});
  for (int block = 0; block < 12; ++block) {
    const std::string name = absl::StrCat("blocks.", block);
    norm(name + ".norm1");
    linear(name + ".attn.qkv", 3 * width, width);
    linear(name + ".attn.proj", width, width);
    norm(name + ".norm2");
    linear(name + ".mlp.fc1", 4 * width, width);
    linear(name + ".mlp.fc2", width, 4 * width);
  }
  norm("norm");
  linear("head", classes, width);
  return tensors;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

std::string WriteFile(const std::string& name, const std::vector<NamedTensor>& tensors) {
  const char* folder = std::getenv("TMPDIR");
  const std::string path = absl::StrCat(folder == nullptr ? "/tmp" : folder, "/retort_weights_", getpid(), "_", name);
  const absl::Status status = SaveTensors(path, tensors, {});
  if (!status.ok()) std::abort();
  return path;
}

bool PlainRead(const std::string& path, std::vector<char>* buffer) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  size_t filled = 0;
  while (filled < buffer->size()) {
    const ssize_t count = read(descriptor, buffer->data() + filled, buffer->size() - filled);
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  close(descriptor);
  return filled == buffer->size();
}

void BM_Load(benchmark::State& state, int64_t width, int64_t classes) {
  using Clock = std::chrono::steady_clock;
  const std::vector<NamedTensor> tensors = Vit(width, classes);
  const std::string path = WriteFile(absl::StrCat(width, ".safetensors"), tensors);
  std::vector<char> buffer(data::WeightFile::Open(path)->storage().bytes().size(), 1);
  std::vector<double> reads, loads, ratios;
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    if (!PlainRead(path, &buffer)) state.SkipWithError("cannot read");
    const Clock::time_point middle = Clock::now();
    const auto file = data::WeightFile::Open(path);
    if (!file.ok() || !LoadTensors(*file, tensors).ok()) state.SkipWithError("cannot load");
    const Clock::time_point end = Clock::now();
    reads.push_back(std::chrono::duration<double, std::milli>(middle - start).count());
    loads.push_back(std::chrono::duration<double, std::milli>(end - middle).count());
    ratios.push_back(loads.back() / reads.back());
  }
  unlink(path.c_str());
  state.counters["read_ms"] = Median(reads);
  state.counters["load_ms"] = Median(loads);
  state.counters["ratio"] = Median(ratios);
  state.counters["MB"] = static_cast<double>(buffer.size()) / 1e6;
}

BENCHMARK_CAPTURE(BM_Load, Tiny, 192, 100)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, Base, 768, 1000)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace retort::nn

BENCHMARK_MAIN();
