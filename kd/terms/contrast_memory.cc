#include "retort/kd/terms/contrast_memory.h"

#include <cmath>

#include "ATen/TensorOperators.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/zeros.h"

namespace retort::kd {

ContrastMemory::ContrastMemory(int64_t samples, int64_t width, double temperature, double momentum, Parts* parts)
    : temperature_(temperature), momentum_(momentum) {
  const double spread = 1 / std::sqrt(static_cast<double>(width) / 3);
  const auto draw = [&] { return at::empty({samples, width}, at::kFloat).uniform_(-spread, spread); };
  student_ = parts->Buffer("bank.student", draw());
  teacher_ = parts->Buffer("bank.teacher", draw());
  student_normalizer_ = parts->Buffer("normalizer.student", at::zeros({}));
  teacher_normalizer_ = parts->Buffer("normalizer.teacher", at::zeros({}));
}

at::Tensor ContrastMemory::Loss(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& rows) {
  return Side(teacher_, student, rows, student_normalizer_) + Side(student_, teacher, rows, teacher_normalizer_);
}

at::Tensor ContrastMemory::Side(const at::Tensor& bank, const at::Tensor& vectors, const at::Tensor& rows,
                                const at::Tensor& normalizer) const {
  const int64_t batch = rows.size(0), columns = rows.size(1);
  const double samples = static_cast<double>(bank.size(0));
  const at::Tensor entries = at::index_select(bank, 0, rows.flatten()).view({batch, columns, bank.size(1)});
  const at::Tensor scores = (at::bmm(entries, vectors.unsqueeze(2)).squeeze(2) / temperature_).exp();
  if (normalizer.item<double>() == 0) normalizer.copy_(scores.detach().mean() * samples);
  const at::Tensor o = scores / normalizer.clone();  // the buffer may be loaded again before the backward pass
  const double share = static_cast<double>(columns - 1) / samples;
  const at::Tensor logs = (o + (share + 1e-7)).log();
  const at::Tensor positive = o.select(1, 0).log() - logs.select(1, 0);
  const at::Tensor negatives = std::log(share) - logs.slice(1, 1);
  return (positive.sum() + negatives.sum()) / -static_cast<double>(batch);
}

void ContrastMemory::Update(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& index) {
  const auto update = [&](const at::Tensor& bank, const at::Tensor& vectors) {
    const at::Tensor entries = at::index_select(bank, 0, index) * momentum_ + vectors.detach() * (1 - momentum_);
    bank.index_copy_(0, index, entries / at::linalg_vector_norm(entries, 2, at::IntArrayRef(1), /*keepdim=*/true));
  };
  update(student_, student);
  update(teacher_, teacher);
}

}  // namespace retort::kd
