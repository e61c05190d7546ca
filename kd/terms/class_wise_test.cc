#include "retort/kd/terms/class_wise.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/flip.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeClassWise(Parse<config::ClassWise>(text)); };
}

Step StepOf(const at::Tensor& logits, const std::vector<int64_t>& labels) {
  Step step;
  step.student.logits = logits;
  step.labels = at::tensor(labels, at::kLong);
  return step;
}

TermOf Of(const std::string& text, const std::vector<int64_t>& labels) {
  return [=](const at::Tensor& logits) { return Make(text)()->Compute(StepOf(logits, labels)).value(); };
}

// T^2 KL of row `from` against row `to`, in plain loops.
double Kl(const at::Tensor& logits, int64_t from, int64_t to, double t) {
  const auto probability = [&](int64_t b, int64_t c) {
    double sum = 0;
    for (int64_t k = 0; k < logits.size(1); ++k) sum += std::exp(logits[b][k].item<double>() / t);
    return std::exp(logits[b][c].item<double>() / t) / sum;
  };
  double kl = 0;
  for (int64_t c = 0; c < logits.size(1); ++c) {
    kl += t * t * probability(from, c) * std::log(probability(from, c) / probability(to, c));
  }
  return kl;
}

TEST(ClassWiseTest, ComparesEachImageWithTheNextOfItsClass) {
  const at::Tensor z = StudentLogits();
  EXPECT_NEAR(Of("temperature: 2", {3, 1, 3, 0})(z).item<double>(), (Kl(z, 2, 0, 2) + Kl(z, 0, 2, 2)) / 2, 1e-12);
  EXPECT_NEAR(Of("", {2, 2, 0, 2})(z).item<double>(), (Kl(z, 1, 0, 4) + Kl(z, 3, 1, 4) + Kl(z, 0, 3, 4)) / 3, 1e-12);
  const double single = Of("", {2, 2, 0, 2})(z.to(at::kFloat)).item<double>();
  EXPECT_NEAR(single, Of("", {2, 2, 0, 2})(z).item<double>(), 1e-5);
}

// Only the learner's row is moved: an image that teaches is a constant.
TEST(ClassWiseTest, TeachersAreConstants) {
  const at::Tensor z = StudentLogits().slice(0, 0, 2).clone().set_requires_grad(true);
  Make("temperature: 1")()->Compute(StepOf(z, {1, 1})).value().backward();
  // d/dz_b of KL(p_other || q_b) at T = 1, half of it: (q_b - p_other) / 2.
  const at::Tensor p = at::softmax(z.detach(), 1);
  EXPECT_LT((z.grad() - (p - p.flip(0)) / 2).abs().max().item<double>(), 1e-12);
}

TEST(ClassWiseTest, IsZeroWhereNoClassOccursTwice) {
  EXPECT_EQ(Of("", {0, 1, 2, 3})(StudentLogits()).item<double>(), 0);
  EXPECT_EQ(GradientNorm(Of("", {0, 1, 2, 3}), StudentLogits()), 0);
  EXPECT_EQ(Of("", {4})(StudentLogits().slice(0, 0, 1)).item<double>(), 0);
  const at::Tensor impossible = StudentLogits();
  impossible[1][2] = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(Of("", {0, 1, 2, 3})(impossible).item<double>(), 0);
}

TEST(ClassWiseTest, NeedsNoTeacher) { EXPECT_FALSE(Make("")()->needs().teacher()); }

TEST(ClassWiseErrorTest, RefusesLabelsBeyondTheClasses) {
  Step step = SingleImage();
  step.labels = at::tensor({4}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kOutOfRange, "label 4");
  step.labels = Labels();
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "[4]");
}

}  // namespace
}  // namespace retort::kd
