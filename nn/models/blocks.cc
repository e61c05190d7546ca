#include "retort/nn/models/blocks.h"

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

}  // namespace retort::nn
