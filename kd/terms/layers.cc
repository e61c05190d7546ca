#include "retort/kd/terms/layers.h"

#include <cmath>

#include "ATen/ops/batch_norm.h"
#include "ATen/ops/conv2d.h"
#include "ATen/ops/conv_transpose2d.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"

namespace retort::kd {

at::Tensor Parts::Parameter(const std::string& name, const at::Tensor& initial) {
  const at::Tensor parameter = initial.to(options_).detach().clone().set_requires_grad(true);
  parameters_.emplace_back(name, parameter);
  return parameter;
}

at::Tensor Parts::Uniform(const std::string& name, at::IntArrayRef shape, double bound) {
  return Parameter(name, at::empty(shape, at::kFloat).uniform_(-bound, bound));
}

at::Tensor Parts::Buffer(const std::string& name, const at::Tensor& initial) {
  const at::Tensor buffer = initial.to(options_).detach().clone();
  buffers_.emplace_back(name, buffer);
  return buffer;
}

Convolution::Convolution(const ConvolutionShape& shape, const std::string& name, Parts* parts) : shape_(shape) {
  const int64_t first = shape.transposed ? shape.in : shape.out, second = shape.transposed ? shape.out : shape.in;
  const double fan_in = static_cast<double>(second * shape.kernel_height * shape.kernel_width);
  weight_ =
      parts->Uniform(name + ".weight", {first, second, shape.kernel_height, shape.kernel_width}, 1 / std::sqrt(fan_in));
  if (shape.bias) bias_ = parts->Uniform(name + ".bias", {shape.out}, 1 / std::sqrt(fan_in));
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const at::IntArrayRef stride(shape_.stride), padding(shape_.padding);
  return shape_.transposed ? at::conv_transpose2d(x, weight_, bias_, stride, padding)
                           : at::conv2d(x, weight_, bias_, stride, padding);
}

BatchNorm::BatchNorm(int64_t channels, const std::string& name, Parts* parts)
    : weight_(parts->Parameter(name + ".weight", at::ones({channels}))),
      bias_(parts->Parameter(name + ".bias", at::zeros({channels}))),
      mean_(parts->Buffer(name + ".running_mean", at::zeros({channels}))),
      variance_(parts->Buffer(name + ".running_var", at::ones({channels}))) {}

at::Tensor BatchNorm::operator()(const at::Tensor& x) const {
  return at::batch_norm(x, weight_, bias_, mean_, variance_, /*training=*/true, /*momentum=*/0.1, /*eps=*/1e-5,
                        /*cudnn_enabled=*/true);
}

Linear::Linear(int64_t in, int64_t out, const std::string& name, Parts* parts)
    : weight_(parts->Uniform(name + ".weight", {out, in}, 1 / std::sqrt(static_cast<double>(in)))),
      bias_(parts->Uniform(name + ".bias", {out}, 1 / std::sqrt(static_cast<double>(in)))) {}

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight_, bias_); }

}  // namespace retort::kd
