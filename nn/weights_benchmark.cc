// Loading a file of weights against a plain read of it, in turns; the file is in the page cache.
//
//   GOMP_SPINCOUNT=5000 ./bazelw run //nn:weights_benchmark -- --benchmark_filter=Base
//
// Tensors: LoadTensors. Model: LoadModel of a foreign file, which has no hash. Verified: of a file of ours, whose
// SHA-256 is compared first. Counters are medians: load_ms, read_ms, and ratio, load over read of the same turn.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/file.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/build_model.h"
#include "retort/nn/runtime.h"
#include "retort/nn/weights.h"

namespace retort::nn {
namespace {

void Must(bool succeeded) {
  if (!succeeded) std::abort();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

enum class Case { kTensors, kModel, kVerifiedModel };

// A file of `model`; unless it is to be verified, its SHA-256 of itself is made an entry without meaning.
std::string WriteFile(const Model& model, bool verified) {
  const char* folder = std::getenv("TMPDIR");
  const std::string path =
      absl::StrCat(folder == nullptr ? "/tmp" : folder, "/retort_weights_", getpid(), ".safetensors");
  Must(SaveModel(path, model, {}).ok());
  if (verified) return path;
  std::string bytes = data::ReadFile(path).value();
  bytes.replace(bytes.find("retort.sha256"), 13, "foreign.entry");
  Must(data::WriteFileAtomically(path, bytes).ok());
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

void BM_Load(benchmark::State& state, const std::string& model_text, int64_t classes, Case which) {
  using Clock = std::chrono::steady_clock;
  config::Model config;
  Must(google::protobuf::TextFormat::ParseFromString(model_text, &config));
  const std::unique_ptr<Model> model =
      BuildModel(config, {3, 224, 224, classes}, /*seed=*/1, /*channels_last=*/false).value();
  const std::vector<NamedTensor> tensors = model->Parameters();  // a ViT has no buffers
  const std::string path = WriteFile(*model, which == Case::kVerifiedModel);
  std::vector<char> buffer(data::WeightFile::Open(path)->storage().bytes().size(), 1);
  std::vector<double> reads, loads, ratios;
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    if (!PlainRead(path, &buffer)) state.SkipWithError("cannot read");
    const Clock::time_point middle = Clock::now();
    const auto file = data::WeightFile::Open(path);
    const bool loaded = file.ok() && (which == Case::kTensors ? LoadTensors(*file, tensors).ok()
                                                              : LoadModel(*file, model.get(), {}).ok());
    if (!loaded) state.SkipWithError("cannot load");
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

constexpr char kTiny[] = "vit {}";
constexpr char kBase[] = "vit { width: 768 heads: 12 }";

BENCHMARK_CAPTURE(BM_Load, TinyTensors, kTiny, 100, Case::kTensors)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, TinyModel, kTiny, 100, Case::kModel)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, TinyVerified, kTiny, 100, Case::kVerifiedModel)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, BaseTensors, kBase, 1000, Case::kTensors)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, BaseModel, kBase, 1000, Case::kModel)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_Load, BaseVerified, kBase, 1000, Case::kVerifiedModel)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace retort::nn

int main(int argc, char** argv) {
  retort::nn::ConfigureRuntime(/*threads=*/2);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
