// The fused losses and the formula in eager ATen operators in turns, forward and backward, on one thread. Columns:
// median microseconds a call of both, and the median, least and greatest ratio of a turn.
//
//   bazel run //ops/losses:losses_benchmark
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/kl_div.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "benchmark/benchmark.h"

#include "retort/ops/torch/autograd/softmax_loss.h"

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

// CE + T^2 KL, T = 4, weights 0.1 and 0.9.
void BM_CrossEntropyKl(benchmark::State& state) {
  const int64_t batch = state.range(0), classes = state.range(1);
  at::Tensor logits = (at::randn({batch, classes}) * 3).set_requires_grad(true);
  const at::Tensor teacher = at::randn({batch, classes}) * 3, labels = at::randint(classes, {batch}, at::kLong);
  const auto ours = [&] {
    logits.mutable_grad().reset();
    torch::CrossEntropyKl(logits, labels, teacher, {0, 4, 0.1f, 0.9f})->total.backward();
  };
  const auto eager = [&] {
    logits.mutable_grad().reset();
    const at::Tensor soft =
        at::kl_div(at::log_softmax(logits / 4, 1), at::softmax(teacher / 4, 1), at::Reduction::Sum) *
        (16.0 / static_cast<double>(batch));
    (at::cross_entropy_loss(logits, labels) * 0.1 + soft * 0.9).backward();
  };
  InTurns(state, classes > 1000 ? 4 : 200, ours, eager);
}
BENCHMARK(BM_CrossEntropyKl)
    ->Args({128, 10})
    ->Args({128, 100})
    ->Args({128, 1000})
    ->Args({64, 21841})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

void BM_CrossEntropy(benchmark::State& state) {
  const int64_t batch = state.range(0), classes = state.range(1);
  at::Tensor logits = (at::randn({batch, classes}) * 3).set_requires_grad(true);
  const at::Tensor labels = at::randint(classes, {batch}, at::kLong);
  const auto ours = [&] {
    logits.mutable_grad().reset();
    torch::CrossEntropy(logits, labels, 0)->backward();
  };
  const auto eager = [&] {
    logits.mutable_grad().reset();
    at::cross_entropy_loss(logits, labels).backward();
  };
  InTurns(state, 200, ours, eager);
}
BENCHMARK(BM_CrossEntropy)->Args({128, 10})->Args({128, 1000})->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort::ops

BENCHMARK_MAIN();
