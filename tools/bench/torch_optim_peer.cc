#include "retort/tools/bench/torch_optim_peer.h"

#include <memory>

#include "torch/optim/adam.h"
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

std::function<void()> TorchAdam(const std::vector<at::Tensor>& parameters) {
  return Step<::torch::optim::Adam>(parameters, ::torch::optim::AdamOptions(1e-3));
}

}  // namespace retort::bench
