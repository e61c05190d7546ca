// Our side of train.py, and LibTorch's: a step of an optimiser over 65 parameters of 4096 numbers. Units are steps.
//
//   GOMP_SPINCOUNT=5000 train_benchmark --threads=1

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ATen/ops/randn.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"

#include "retort/nn/optim/optimizer.h"
#include "retort/nn/runtime.h"
#include "retort/tools/bench/torch_optim_peer.h"
#include "retort/tools/bench/turn.h"

ABSL_FLAG(int, threads, 1, "for one tensor operation");

namespace retort::bench {
namespace {

constexpr int kTensors = 65;
constexpr int64_t kSize = 4096;

// With gradients, which stay as they are.
std::vector<at::Tensor> Parameters() {
  std::vector<at::Tensor> parameters;
  for (int i = 0; i < kTensors; ++i) {
    parameters.push_back(at::randn({kSize}).requires_grad_());
    parameters.back().mutable_grad() = at::randn({kSize});
  }
  return parameters;
}

using Optimizer = std::function<std::function<void()>(const std::vector<at::Tensor>&)>;

Optimizer Ours(const config::Optimizer& config) {
  return [config](const std::vector<at::Tensor>& tensors) {
    std::vector<nn::NamedTensor> parameters;
    for (const at::Tensor& tensor : tensors) parameters.emplace_back(absl::StrCat(parameters.size()), tensor);
    const std::shared_ptr<nn::Optimizer> optimizer = nn::BuildOptimizer(config, parameters).value();
    return [optimizer] { optimizer->Step(1); };
  };
}

// A thousand steps a round.
Case Steps(const std::string& name, const Optimizer& optimizer) {
  return {
      name, [optimizer] {
        const std::function<void()> step = optimizer(Parameters());
        return [step] {
          constexpr int kSteps = 1000;
          const auto start = std::chrono::steady_clock::now();
          for (int i = 0; i < kSteps; ++i) step();
          return Case::Round{kSteps, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
        };
      }};
}

int Main() {
  if (absl::GetFlag(FLAGS_threads) < 1) {
    std::fprintf(stderr, "permitted: --threads from 1\n");
    return 64;
  }
  nn::ConfigureRuntime(absl::GetFlag(FLAGS_threads));
  config::Optimizer sgd, adamw;
  sgd.mutable_sgd()->set_learning_rate(1e-3);
  adamw.mutable_adamw();
  return TakeTurns({Steps("sgd", Ours(sgd)), Steps("adamw", Ours(adamw)), Steps("torch_sgd", TorchSgd),
                    Steps("torch_adamw", TorchAdamW)});
}

}  // namespace
}  // namespace retort::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("optimiser steps a second; answers names of cases, see turn.h");
  absl::ParseCommandLine(argc, argv);
  return retort::bench::Main();
}
