// Images per second of the forward pass and of a whole training step (forward, cross-entropy, backward, Adam) in f32
// and channels_last, batch 128, on two threads. Run with GOMP_SPINCOUNT=5000 in the environment.

#include <memory>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/randn.h"
#include "benchmark/benchmark.h"

#include "retort/nn/build_model.h"
#include "retort/nn/optimizer.h"
#include "retort/nn/runtime.h"

namespace retort::nn {
namespace {

constexpr int64_t kBatch = 128;

config::Model DeepNn() {
  config::Model config;
  config.mutable_deep_nn();
  return config;
}

config::Model LightNn() {
  config::Model config;
  config.mutable_light_nn();
  return config;
}

struct Setup {
  explicit Setup(const config::Model& config)
      : model(BuildModel(config, ModelShape(), /*seed=*/1, /*channels_last=*/true).value()),
        images(at::randn({kBatch, 3, 32, 32}).contiguous(at::MemoryFormat::ChannelsLast)),
        labels(at::randint(10, {kBatch}, at::kLong)) {}

  std::unique_ptr<Model> model;
  at::Tensor images;
  at::Tensor labels;
};

void Report(benchmark::State& state) {
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kBatch), benchmark::Counter::kIsRate);
}

void Forward(benchmark::State& state, const config::Model& config) {
  const Setup setup(config);
  setup.model->SetTraining(false);
  const at::NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(setup.model->Forward(setup.images, {}));
  Report(state);
}

void TrainingStep(benchmark::State& state, const config::Model& config) {
  const Setup setup(config);
  config::Optimizer adam;
  adam.mutable_adam();
  const std::vector<NamedTensor> parameters = setup.model->Parameters();
  const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(adam, parameters);
  for (auto _ : state) {
    at::cross_entropy_loss(setup.model->Forward(setup.images, {}).logits, setup.labels).backward();
    optimizer->Step(1);
    ZeroGrad(parameters);
  }
  Report(state);
}

BENCHMARK_CAPTURE(Forward, light_nn, LightNn())->UseRealTime();
BENCHMARK_CAPTURE(TrainingStep, light_nn, LightNn())->UseRealTime();
BENCHMARK_CAPTURE(Forward, deep_nn, DeepNn())->UseRealTime();
BENCHMARK_CAPTURE(TrainingStep, deep_nn, DeepNn())->UseRealTime();

}  // namespace
}  // namespace retort::nn

int main(int argc, char** argv) {
  retort::nn::ConfigureRuntime(/*threads=*/2);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
