// The fused losses and the formula in eager ATen operators in turns, forward and backward, on one thread. Columns:
// median calls a second of both, and the median, least and greatest ratio of a turn.
//
//   bazel run //ops/losses:losses_benchmark
#include <cstdint>
#include <functional>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/kl_div.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "HalideBuffer.h"
#include "benchmark/benchmark.h"

#include "retort/ops/device.h"
#include "retort/ops/losses/softmax_loss.h"
#include "retort/ops/torch/autograd/softmax_loss.h"
#include "retort/testing/benchmarks.h"

namespace retort::ops {
namespace {

// One turn each of `ours` and `eager`, `calls` times.
void InTurns(benchmark::State& state, int calls, const std::function<void()>& ours,
             const std::function<void()>& eager) {
  at::set_num_threads(1);
  const auto repeated = [calls](const std::function<void()>& call) {
    return [=] {
      for (int i = 0; i < calls; ++i) call();
    };
  };
  testing::InTurns(state, calls, "calls", repeated(ours), "eager", repeated(eager));
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
// Logits of student and teacher are read, the gradient is written.
void BM_OnDevice(benchmark::State& state, Device::Kind kind) {
  using ::Halide::Runtime::Buffer;
  const int batch = static_cast<int>(state.range(0)), classes = static_cast<int>(state.range(1));
  Buffer<float, 2> logits(classes, batch), teacher(classes, batch), gradient(classes, batch), rows(2, batch);
  logits.for_each_element([&](int c, int b) { logits(c, b) = static_cast<float>((c * 7 + b * 3) % 11) - 5; });
  teacher.for_each_element([&](int c, int b) { teacher(c, b) = static_cast<float>((c * 5 + b) % 13) - 6; });
  gradient.fill(0);
  rows.fill(0);
  Buffer<int64_t, 1> labels(batch);
  labels.for_each_element([&](int b) { labels(b) = b % classes; });
  Buffer<float, 1> loss(3);
  loss.fill(0);
  testing::OnDevice(
      state, kind, {logits, teacher, labels, gradient, rows, loss},
      {"rows", static_cast<double>(batch), 12.0 * batch * classes}, [&](const Device& device) {
        return CrossEntropyKl(logits, labels, teacher, {0, 4, 0.1f, 0.9f}, {gradient, rows, loss}, device);
      });
}
BENCHMARK_CAPTURE(BM_OnDevice, CUDA_CrossEntropyKl, Device::Kind::kCuda)
    ->Args({4096, 10})
    ->Args({4096, 100})
    ->Args({4096, 1000})
    ->Args({512, 21841})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK(BM_CrossEntropy)->Args({128, 10})->Args({128, 1000})->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort::ops

BENCHMARK_MAIN();
