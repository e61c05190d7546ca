// What several families are built from. Costly to include: for the families' .cc files alone.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "ATen/core/Tensor.h"
#include "torch/nn/module.h"
#include "torch/nn/modules/batchnorm.h"
#include "torch/nn/modules/conv.h"

namespace retort::nn {

struct ConvolutionOptions {
  int64_t kernel = 3;  // odd
  int64_t stride = 1;
  int64_t groups = 1;
  bool bias = false;
};

// [B,in,H,W] -> [B,out,ceil(H/stride),ceil(W/stride)]: zero padding of (kernel - 1) / 2.
torch::nn::Conv2d Convolution(int64_t in, int64_t out, const ConvolutionOptions& options);

// PyTorch's defaults.
struct NormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  // of the newest batch in the running statistics
};

torch::nn::BatchNorm2d BatchNorm(int64_t channels, const NormOptions& options = {});

// The group of layers that `root` has under a dotted name, "layer1.0"; made where it is missing.
torch::nn::Module* Group(torch::nn::Module* root, const std::string& name);

// Adds `layer` to `root` under a dotted name: "layer1.0.conv1".
template <typename Layer>
Layer Register(torch::nn::Module* root, const std::string& name, Layer layer) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return root->register_module(name, std::move(layer));
  return Group(root, name.substr(0, dot))->register_module(name.substr(dot + 1), std::move(layer));
}

// A convolution and the normalisation of its output.
class ConvolutionNorm {
 public:
  ConvolutionNorm() = default;

  // Adds both to `root` under their dotted names.
  ConvolutionNorm(torch::nn::Module* root, const std::string& convolution_name, const std::string& norm_name,
                  int64_t in, int64_t out, const ConvolutionOptions& options, const NormOptions& norm_options = {});

  bool empty() const { return convolution_.is_empty(); }
  at::Tensor Forward(const at::Tensor& x) { return norm_->forward(convolution_->forward(x)); }
  const at::Tensor& NormWeight() const { return norm_->weight; }

 private:
  torch::nn::Conv2d convolution_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
};

// [B,C,H,W] -> [B,C]: the mean over H,W.
at::Tensor MeanPool(const at::Tensor& x);

// [B,C,H,W] -> [B,C,H,W]: channels (g, C/groups) in the order (C/groups, g), laid out channels_last.
at::Tensor ShuffleChannels(const at::Tensor& x, int64_t groups);

// Draws all convolutions of `root` anew, in order: normal with variance 2 / fan_out (He et al. 2015, arXiv:1502.01852).
// Biases become 0.
void InitConvolutionsByFanOut(torch::nn::Module* root);

// Draws all linear layers of `root` anew, in order: normal with mean 0. Biases become 0.
void InitLinears(torch::nn::Module* root, double standard_deviation);

// Draws `weight` anew: normal with mean 0 and standard deviation `deviation`, within [-2, 2]; the numbers of PyTorch's
// trunc_normal_.
void InitTruncatedNormal(const at::Tensor& weight, double deviation);

// Stochastic depth (Huang et al. 2016, arXiv:1603.09382) of a residual branch [B,...]: in training each sample is zero
// with probability `rate` and else divided by 1 - rate. 0 <= rate < 1.
at::Tensor DropPath(const at::Tensor& branch, double rate, bool training);

}  // namespace retort::nn
