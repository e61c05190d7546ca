#include "retort/tools/bench/torch_optim_peer.h"

#include <memory>

#include "torch/optim/adamw.h"
#include "torch/optim/sgd.h"

namespace retort::bench {
namespace {

template <typename Optimizer, typename Options>
std::function<void()> Step(const std::vector<at::Tensor>& parameters, const Options& options) {
  const auto optimizer = std::make_shared<Optimizer>(parameters, options);
  return [optimizer] { optimizer->step(); };
}

}  // namespace

std::function<void()> TorchSgd(const std::vector<at::Tensor>& parameters) {
  return Step<::torch::optim::SGD>(parameters, ::torch::optim::SGDOptions(1e-3).momentum(0.9));
}

std::function<void()> TorchAdamW(const std::vector<at::Tensor>& parameters) {
  return Step<::torch::optim::AdamW>(parameters, ::torch::optim::AdamWOptions(1e-3).weight_decay(1e-2));
}

}  // namespace retort::bench
