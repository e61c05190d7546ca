#include "retort/nn/models/blocks.h"

#include <cmath>
#include <memory>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/empty.h"
#include "absl/strings/str_split.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/linear.h"

namespace retort::nn {

torch::nn::Conv2d Convolution(int64_t in, int64_t out, const ConvolutionOptions& options) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, options.kernel)
                               .stride(options.stride)
                               .padding((options.kernel - 1) / 2)
                               .groups(options.groups)
                               .bias(options.bias));
}

torch::nn::BatchNorm2d BatchNorm(int64_t channels, const NormOptions& options) {
  return torch::nn::BatchNorm2d(torch::nn::BatchNormOptions(channels).eps(options.eps).momentum(options.momentum));
}

torch::nn::Module* Group(torch::nn::Module* root, const std::string& name) {
  torch::nn::Module* group = root;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(name, '.'))) {
    const auto children = group->named_children();
    const std::shared_ptr<torch::nn::Module>* child = children.find(part);
    group = (child != nullptr ? *child : group->register_module(part, std::make_shared<torch::nn::Module>())).get();
  }
  return group;
}

ConvolutionNorm::ConvolutionNorm(torch::nn::Module* root, const std::string& convolution_name,
                                 const std::string& norm_name, int64_t in, int64_t out,
                                 const ConvolutionOptions& options, const NormOptions& norm_options)
    : convolution_(Register(root, convolution_name, Convolution(in, out, options))),
      norm_(Register(root, norm_name, BatchNorm(out, norm_options))) {}

at::Tensor MeanPool(const at::Tensor& x) { return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1); }

at::Tensor ShuffleChannels(const at::Tensor& x, int64_t groups) {
  // Among the innermost of channels_last memory the shuffle is one copy, and the next convolution needs no other.
  return x.permute({0, 2, 3, 1}).unflatten(3, {groups, -1}).transpose(3, 4).flatten(3).permute({0, 3, 1, 2});
}

void InitConvolutionsByFanOut(torch::nn::Module* root) {
  for (const auto& module : root->modules()) {
    if (const auto* convolution = module->as<torch::nn::Conv2d>()) {
      torch::nn::init::kaiming_normal_(convolution->weight, /*a=*/0, torch::kFanOut, torch::kReLU);
      if (convolution->bias.defined()) torch::nn::init::zeros_(convolution->bias);
    }
  }
}

void InitLinears(torch::nn::Module* root, double standard_deviation) {
  for (const auto& module : root->modules()) {
    if (const auto* linear = module->as<torch::nn::Linear>()) {
      torch::nn::init::normal_(linear->weight, /*mean=*/0, standard_deviation);
      torch::nn::init::zeros_(linear->bias);
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
