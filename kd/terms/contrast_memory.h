// Memory banks of contrastive distillation.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"

#include "retort/kd/terms/layers.h"

namespace retort::kd {

// An embedding of length about 1 for each of N training images, of student and teacher: student [N,D], teacher [N,D],
// drawn evenly from [-s, s], s = 1 / sqrt(D / 3). With student v_s and teacher v_t [B,D] of length 1 and rows [B,1+K],
// each image's own row and those of K negatives:
//
//   o_t[b,k] = exp(student[rows[b,k]] . v_t[b] / temperature) / Z_t
//   o_s[b,k] = exp(teacher[rows[b,k]] . v_s[b] / temperature) / Z_s
//   Z = N mean o before the division, of the first batch, and then a constant
//   loss = sum of both sides' -(1 / B) sum_b [ log(o_0 / (o_0 + c)) + sum_{k > 0} log((K / N) / (o_k + c)) ],
//   c = K / N + 1e-7
//
// Source: HobbitLong/RepDistiller, crd/criterion.py and crd/memory.py.
class ContrastMemory {
 public:
  // Buffers "bank.student", "bank.teacher", "normalizer.student", "normalizer.teacher" (0: not yet known).
  ContrastMemory(int64_t samples, int64_t width, double temperature, double momentum, Parts* parts);

  // Differentiable by both embeddings. Sets Z where it is not known.
  at::Tensor Loss(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& rows);

  // entry = momentum * entry + (1 - momentum) * v, divided by its length; index [B]: each image's own row.
  void Update(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& index);

 private:
  at::Tensor Side(const at::Tensor& bank, const at::Tensor& vectors, const at::Tensor& rows,
                  const at::Tensor& normalizer) const;

  const double temperature_;
  const double momentum_;
  at::Tensor student_, teacher_;                        // [N,D]
  at::Tensor student_normalizer_, teacher_normalizer_;  // []
};

}  // namespace retort::kd
