#include "retort/kd/terms/hierarchical_loss.h"

#include <cstdint>

#include "ATen/TensorOperators.h"
#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/mse_loss.h"

namespace retort::kd {

at::Tensor HierarchicalContextLoss(const at::Tensor& student, const at::Tensor& teacher) {
  at::Tensor loss = at::mse_loss(student, teacher);
  double weight = 1, sum = 1;
  for (const int64_t side : {4, 2, 1}) {
    if (side >= student.size(2)) continue;
    weight /= 2;
    sum += weight;
    const auto pool = [side](const at::Tensor& x) { return at::adaptive_avg_pool2d(x, {side, side}); };
    loss = loss + at::mse_loss(pool(student), pool(teacher)) * weight;
  }
  return loss / sum;
}

}  // namespace retort::kd
