// Attention transfer fused and as the formula in eager ATen operators in turns, forward with the teacher's map and
// backward, on one thread. Columns: median calls a second of both, and the median, least and greatest ratio of a turn.
// On a GPU the fused op alone.
//
//   bazel run //ops/attention:attention_benchmark
#include <cstdint>
#include <functional>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/randn.h"
#include "HalideBuffer.h"
#include "benchmark/benchmark.h"

#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/attention/attention_transfer.h"
#include "retort/ops/device.h"
#include "retort/ops/torch/autograd/attention.h"
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

// Of f32 [B,C,H,W], the teacher's map given; features are read once and the gradient written.
void BM_OnDevice(benchmark::State& state, Device::Kind kind, bool channels_last) {
  using ::Halide::Runtime::Buffer;
  const int b = static_cast<int>(state.range(0)), c = static_cast<int>(state.range(1)),
            side = static_cast<int>(state.range(2));
  const auto features = [&] {
    Buffer<float, 4> planar(side, side, c, b), interleaved(c, side, side, b);
    interleaved.transpose({1, 2, 0, 3});
    Buffer<float, 4> result = channels_last ? interleaved : planar;
    result.fill(0.5f);
    return result;
  };
  Buffer<float, 4> student = features(), gradient = features();
  Buffer<float, 3> target(side, side, b);
  target.fill(0.1f);
  Buffer<float, 1> rows(b), loss(1);
  rows.fill(0);
  loss.fill(0);
  testing::OnDevice(state, kind, {student, gradient, target, rows, loss},
                    {"maps", static_cast<double>(b), 8.0 * b * c * side * side}, [&](const Device& device) {
                      return AttentionTransfer(student, target, {}, {gradient, rows, loss}, device);
                    });
}
BENCHMARK_CAPTURE(BM_OnDevice, CUDA_planar, Device::Kind::kCuda, false)
    ->Args({1024, 64, 16})
    ->Args({256, 256, 14})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_OnDevice, CUDA_channels_last, Device::Kind::kCuda, true)
    ->Args({1024, 64, 16})
    ->Args({256, 256, 14})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

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
