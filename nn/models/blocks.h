// What several families are built from. Costly to include: for the families' .cc files alone.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
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

// PyTorch's BatchNorm2d with its defaults: eps 1e-5, momentum 0.1.
torch::nn::BatchNorm2d BatchNorm(int64_t channels);

// Draws all convolutions of `root` anew, in order: normal with variance 2 / fan_out (He et al. 2015, arXiv:1502.01852).
void InitConvolutionsByFanOut(torch::nn::Module* root);

// Draws `weight` anew: normal with mean 0 and standard deviation `deviation`, within [-2, 2]; the numbers of PyTorch's
// trunc_normal_.
void InitTruncatedNormal(const at::Tensor& weight, double deviation);

// Stochastic depth (Huang et al. 2016, arXiv:1603.09382) of a residual branch [B,...]: in training each sample is zero
// with probability `rate` and else divided by 1 - rate. 0 <= rate < 1.
at::Tensor DropPath(const at::Tensor& branch, double rate, bool training);

}  // namespace retort::nn
