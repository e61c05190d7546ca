#include "retort/kd/terms/fixtures.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/tensor.h"

namespace retort::kd {
namespace {

// 0, factor, 2 factor, ... along dimension `dim` of `rank`, to be broadcast.
at::Tensor Ramp(int64_t size, double factor, int64_t dim, int64_t rank) {
  std::vector<int64_t> shape(rank, 1);
  shape[dim] = size;
  return (at::arange(size, at::kDouble) * factor).reshape(shape);
}

}  // namespace

at::Tensor StudentLogits() { return (Ramp(4, 0.7, 0, 2) + Ramp(5, 1.3, 1, 2) + 0.2).sin() * 3; }

at::Tensor TeacherLogits() { return (Ramp(4, 0.5, 0, 2) + Ramp(5, -0.9, 1, 2) + 0.1).cos() * 4; }

at::Tensor Labels() { return at::tensor({0, 3, 1, 4}, at::kLong); }

at::Tensor StudentMap() {
  return (Ramp(4, 0.3, 0, 4) + Ramp(6, 0.5, 1, 4) + Ramp(8, 1.1, 2, 4) + Ramp(8, -0.7, 3, 4) + 0.05).sin();
}

at::Tensor TeacherMap(int64_t height, int64_t width) {
  return (Ramp(4, 0.2, 0, 4) + Ramp(8, -0.4, 1, 4) + Ramp(height, 0.9, 2, 4) + Ramp(width, 1.3, 3, 4)).cos();
}

at::Tensor StudentEmbedding(int64_t width) { return (Ramp(4, 0.9, 0, 2) + Ramp(width, 0.6, 1, 2) + 0.1).sin(); }

at::Tensor TeacherEmbedding(int64_t width) { return (Ramp(4, 0.7, 0, 2) + Ramp(width, -0.5, 1, 2) + 0.2).cos(); }

Step SingleImage() {
  Step step;
  step.student.logits = at::tensor({2.0, -1.0, 0.5, 0.0}, at::kDouble).unsqueeze(0);
  step.teacher.logits = at::tensor({4.0, 1.0, -2.0, 0.0}, at::kDouble).unsqueeze(0);
  step.labels = at::tensor({2}, at::kLong);
  return step;
}

double GradientNorm(const TermOf& f, const at::Tensor& x) {
  const at::Tensor leaf = x.detach().clone().set_requires_grad(true);
  f(leaf).backward();
  return leaf.grad().norm().item<double>();
}

}  // namespace retort::kd
