// Learnable layers of terms: always in training mode, and no part of the student.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"

#include "retort/nn/model.h"

namespace retort::kd {

// Tensors of a term's layers: of one type, on one device.
class Parts {
 public:
  Parts() = default;
  explicit Parts(const at::TensorOptions& options) : options_(options) {}

  // `initial`, of the parts' type and device, and from now on trained.
  at::Tensor Parameter(const std::string& name, const at::Tensor& initial);
  // The same, each element drawn evenly from [-bound, bound] by LibTorch's default CPU generator, so that the numbers
  // do not depend on the device.
  at::Tensor Uniform(const std::string& name, at::IntArrayRef shape, double bound);
  // State that is not trained.
  at::Tensor Buffer(const std::string& name, const at::Tensor& initial);

  const std::vector<nn::NamedTensor>& parameters() const { return parameters_; }
  const std::vector<nn::NamedTensor>& buffers() const { return buffers_; }

 private:
  at::TensorOptions options_;
  std::vector<nn::NamedTensor> parameters_;
  std::vector<nn::NamedTensor> buffers_;
};

struct ConvolutionShape {
  int64_t in;
  int64_t out;
  int64_t kernel_height = 1;
  int64_t kernel_width = 1;
  int64_t stride = 1;
  int64_t padding = 0;  // zeros
  bool transposed = false;
  bool bias = false;
};

// [B,in,H,W] -> [B,out,H',W']. Drawn as PyTorch's Conv2d: evenly within 1 / sqrt(fan_in).
class Convolution {
 public:
  Convolution(const ConvolutionShape& shape, const std::string& name, Parts* parts);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  ConvolutionShape shape_;
  at::Tensor weight_;
  at::Tensor bias_;  // undefined without one
};

// [B,C,H,W] -> [B,C,H,W], eps 1e-5, momentum 0.1, normalised by the batch itself, of which a channel must have two
// values at least; running statistics are kept for whoever uses the layer after training.
class BatchNorm {
 public:
  BatchNorm(int64_t channels, const std::string& name, Parts* parts);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_, mean_, variance_;
};

// [...,in] -> [...,out], with bias. Drawn as PyTorch's Linear: evenly within 1 / sqrt(in).
class Linear {
 public:
  Linear(int64_t in, int64_t out, const std::string& name, Parts* parts);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

}  // namespace retort::kd
