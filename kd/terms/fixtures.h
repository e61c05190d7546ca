// Inputs of the published values that the terms are checked against. B = 4, K = 5; b, c, h, w, d count from 0.
//
// Values and gradient norms that the tests call published were computed in float64 with the methods' published code
// (szagoruyko/attention-transfer, HobbitLong/RepDistiller, pytorch/tutorials and others) on exactly these inputs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "google/protobuf/message.h"

#include "retort/kd/term.h"

namespace retort::kd {

at::Tensor StudentLogits();  // [4,5], 3 sin(0.7 b + 1.3 c + 0.2)
at::Tensor TeacherLogits();  // [4,5], 4 cos(0.5 b - 0.9 c + 0.1)
at::Tensor Labels();         // 0, 3, 1, 4

at::Tensor StudentMap();  // [4,6,8,8], sin(0.3 b + 0.5 c + 1.1 h - 0.7 w + 0.05)
// [4,C,H,W], cos(0.2 b - 0.4 c + 0.9 h + 1.3 w)
at::Tensor TeacherMap(int64_t height, int64_t width, int64_t channels = 8);

at::Tensor StudentEmbedding(int64_t width);  // [4,D], sin(0.9 b + 0.6 d + 0.1)
at::Tensor TeacherEmbedding(int64_t width);  // [4,D], cos(0.7 b - 0.5 d + 0.2)

void ParseInto(const std::string& text, google::protobuf::Message* message);

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

using MakeTerm = std::function<std::unique_ptr<Term>()>;

// A new term at each call, as a function of one of the student's outputs; what the teacher says takes its type. Taps
// are the student's "s" and the teacher's "t"; labels are Labels() where there are as many images.
TermOf OfLogits(const MakeTerm& make, const at::Tensor& teacher);
TermOf OfEmbedding(const MakeTerm& make, const at::Tensor& teacher);
TermOf OfTap(const MakeTerm& make, const at::Tensor& teacher);

// A step of one pair of taps.
Step TapStep(const at::Tensor& student, const at::Tensor& teacher);

// That value and gradient norm at `x` (f64) are these, in f64 and f32.
void ExpectPublished(const TermOf& f, const at::Tensor& x, double value, double gradient_norm);

// That the gradient at `x` (f64) is that of central differences.
void ExpectGradient(const TermOf& f, const at::Tensor& x);

// That `status` is of this code and its message holds `text`.
void ExpectFault(const absl::Status& status, absl::StatusCode code, const std::string& text);

// A config from text; the test fails where it does not parse.
template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  ParseInto(text, &message);
  return message;
}

}  // namespace retort::kd
