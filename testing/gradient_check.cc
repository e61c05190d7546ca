#include "retort/testing/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "ATen/core/grad_mode.h"
#include "c10/util/Exception.h"

namespace retort::testing {

double GradientError(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x) {
  constexpr double kStep = 1e-5;
  TORCH_CHECK(x.scalar_type() == at::kDouble, "gradients are checked in float64");

  const at::Tensor leaf = x.detach().clone().set_requires_grad(true);
  f(leaf).backward();
  const at::Tensor gradient = leaf.grad().contiguous();
  const double* analytic = gradient.const_data_ptr<double>();

  const at::NoGradGuard no_grad;
  double error = 0;
  double largest = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto moved = [&](double step) {
      const at::Tensor point = x.detach().contiguous().clone();
      point.mutable_data_ptr<double>()[i] += step;
      return f(point).item<double>();
    };
    const double numeric = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    error = std::max(error, std::abs(analytic[i] - numeric));
    largest = std::max(largest, std::abs(analytic[i]));
  }
  return largest > 0 ? error / largest : error;
}

}  // namespace retort::testing
