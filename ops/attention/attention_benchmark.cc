// Attention transfer fused and as the formula in eager ATen operators in turns, forward with the teacher's map and
// backward, on one thread. Columns: median microseconds a call of both, and the median, least and greatest ratio of a
// turn.
//
//   bazel run //ops/attention:attention_benchmark
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/randn.h"
#include "benchmark/benchmark.h"

#include "retort/ops/torch/autograd/attention.h"

namespace retort::ops {
namespace {

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// One turn each of `ours` and `eager`, `calls` times, and the counters.
void InTurns(benchmark::State& state, int calls, const std::function<void()>& ours,
             const std::function<void()>& eager) {
  at::set_num_threads(1);
  std::vector<double> our_seconds, eager_seconds, ratios;
  for (auto _ : state) {
    our_seconds.push_back(Seconds([&] {
      for (int i = 0; i < calls; ++i) ours();
    }));
    eager_seconds.push_back(Seconds([&] {
      for (int i = 0; i < calls; ++i) eager();
    }));
    ratios.push_back(eager_seconds.back() / our_seconds.back());
    state.SetIterationTime(our_seconds.back());
  }
  state.counters["us"] = 1e6 * Median(our_seconds) / calls;
  state.counters["eager_us"] = 1e6 * Median(eager_seconds) / calls;
  state.counters["ratio"] = Median(ratios);
  state.counters["least"] = *std::min_element(ratios.begin(), ratios.end());
  state.counters["greatest"] = *std::max_element(ratios.begin(), ratios.end());
}

// szagoruyko/attention-transfer, utils.py, in our own words.
at::Tensor EagerMap(const at::Tensor& features) {
  const at::Tensor map = features.pow(2).mean(1).view({features.size(0), -1});
  return map / at::linalg_vector_norm(map, 2, at::IntArrayRef{1}, /*keepdim=*/true).clamp_min(1e-12);
}

void BM_AttentionTransfer(benchmark::State& state, at::IntArrayRef shape, at::MemoryFormat format) {
  at::Tensor student = at::randn(shape).contiguous(format).set_requires_grad(true);
  const at::Tensor teacher = at::randn(shape).contiguous(format);
  const auto ours = [&] {
    student.mutable_grad().reset();
    torch::AttentionTransfer(student, *torch::ActivationMap(teacher, {}), {})->backward();
  };
  const auto eager = [&] {
    student.mutable_grad().reset();
    (EagerMap(student) - EagerMap(teacher)).pow(2).mean().backward();
  };
  InTurns(state, 4, ours, eager);
}

constexpr int64_t kDeep[] = {128, 64, 16, 16}, kWide[] = {128, 16, 32, 32}, kLarge[] = {64, 256, 14, 14};
constexpr at::MemoryFormat kPlanar = at::MemoryFormat::Contiguous, kWoven = at::MemoryFormat::ChannelsLast;

BENCHMARK_CAPTURE(BM_AttentionTransfer, 128x64x16x16, kDeep, kPlanar)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_AttentionTransfer, 128x64x16x16_channels_last, kDeep, kWoven)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_AttentionTransfer, 128x16x32x32, kWide, kPlanar)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_AttentionTransfer, 128x16x32x32_channels_last, kWide, kWoven)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_AttentionTransfer, 64x256x14x14, kLarge, kPlanar)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_AttentionTransfer, 64x256x14x14_channels_last, kLarge, kWoven)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort::ops

BENCHMARK_MAIN();
