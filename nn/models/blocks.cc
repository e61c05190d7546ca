#include "retort/nn/models/blocks.h"

#include <cmath>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "torch/nn/init.h"

namespace retort::nn {

torch::nn::Conv2d Convolution(int64_t in, int64_t out, const ConvolutionOptions& options) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, options.kernel)
                               .stride(options.stride)
                               .padding((options.kernel - 1) / 2)
                               .groups(options.groups)
                               .bias(options.bias));
}

torch::nn::BatchNorm2d BatchNorm(int64_t channels) { return torch::nn::BatchNorm2d(channels); }

void InitConvolutionsByFanOut(torch::nn::Module* root) {
  for (const auto& module : root->modules()) {
    if (const auto* convolution = module->as<torch::nn::Conv2d>()) {
      torch::nn::init::kaiming_normal_(convolution->weight, /*a=*/0, torch::kFanOut, torch::kReLU);
    }
  }
}

void InitTruncatedNormal(const at::Tensor& weight, double deviation) {
  const at::NoGradGuard no_grad;
  // A uniform draw through the inverse of the normal distribution function, which is infinite at +-1.
  const double bound = std::erf(2 / (deviation * std::sqrt(2.0)));
  weight.uniform_(-bound, bound).erfinv_().mul_(deviation * std::sqrt(2.0)).clamp_(-2, 2);
}

at::Tensor DropPath(const at::Tensor& branch, double rate, bool training) {
  if (!training || rate == 0) return branch;
  std::vector<int64_t> shape(static_cast<size_t>(branch.dim()), 1);
  shape[0] = branch.size(0);
  return branch * at::empty(shape, branch.options()).bernoulli_(1 - rate).div_(1 - rate);
}

}  // namespace retort::nn
