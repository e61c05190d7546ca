// Inputs of the published values that the terms are checked against. B = 4, K = 5; b, c, h, w, d count from 0.
//
// Values and gradient norms that the tests call published were computed in float64 with the methods' published code
// (szagoruyko/attention-transfer, HobbitLong/RepDistiller, pytorch/tutorials) on exactly these inputs.
#pragma once

#include <functional>

#include "ATen/core/Tensor.h"

#include "retort/kd/term.h"

namespace retort::kd {

at::Tensor StudentLogits();  // [4,5], 3 sin(0.7 b + 1.3 c + 0.2)
at::Tensor TeacherLogits();  // [4,5], 4 cos(0.5 b - 0.9 c + 0.1)
at::Tensor Labels();         // 0, 3, 1, 4

at::Tensor StudentMap();                               // [4,6,8,8], sin(0.3 b + 0.5 c + 1.1 h - 0.7 w + 0.05)
at::Tensor TeacherMap(int64_t height, int64_t width);  // [4,8,H,W], cos(0.2 b - 0.4 c + 0.9 h + 1.3 w)

at::Tensor StudentEmbedding(int64_t width);  // [4,D], sin(0.9 b + 0.6 d + 0.1)
at::Tensor TeacherEmbedding(int64_t width);  // [4,D], cos(0.7 b - 0.5 d + 0.2)

// One image: student logits 2, -1, 0.5, 0; teacher logits 4, 1, -2, 0; label 2.
Step SingleImage();

// Of f64, which takes plain formulas, and of f32, which takes the fused ops: how far a term may be from a published
// value, as a share of it.
struct Precision {
  at::ScalarType type;
  double tolerance;
};
inline constexpr Precision kPrecisions[] = {{at::kDouble, 1e-10}, {at::kFloat, 1e-5}};

// The term as a function of one of the tensors of its step.
using TermOf = std::function<at::Tensor(const at::Tensor&)>;

// || d f / d x ||_2.
double GradientNorm(const TermOf& f, const at::Tensor& x);

}  // namespace retort::kd
