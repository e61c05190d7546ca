#include "retort/kd/terms/input_gradient.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeInputGradient(Parse<config::InputGradient>(text)); };
}

// A linear model z = x W' of 12 inputs: Ws[c,k] = sin(c + 0.3 k), Wt[c,k] = cos(0.5 c - 0.2 k), x[b,k] = sin(0.4 b +
// 0.25 k).
at::Tensor Grid(int64_t rows, double a, int64_t columns, double b) {
  return (at::arange(rows, at::kDouble) * a).unsqueeze(1) + (at::arange(columns, at::kDouble) * b).unsqueeze(0);
}
at::Tensor StudentWeight() { return Grid(5, 1, 12, 0.3).sin(); }
at::Tensor TeacherWeight() { return Grid(5, 0.5, 12, -0.2).cos(); }
at::Tensor Images() { return Grid(4, 0.4, 12, 0.25).sin(); }

// d(sum_b CE_b) / dx of z = x W': (softmax(z) - onehot) W.
at::Tensor LinearGradient(const at::Tensor& x, const at::Tensor& weight) {
  at::Tensor p = at::softmax(at::mm(x, weight.t()), 1);
  for (int64_t b = 0; b < x.size(0); ++b) p[b][Labels()[b].item<int64_t>()] -= 1;
  return at::mm(p, weight);
}

TermOf OfWeight(const std::string& text) {
  return [=](const at::Tensor& weight) {
    Step step;
    step.images = Images().to(weight.scalar_type()).set_requires_grad(true);
    step.student.logits = at::mm(step.images, weight.t());
    step.labels = Labels();
    step.teacher.gradients.images = LinearGradient(Images(), TeacherWeight()).to(weight.scalar_type());
    // Central differences are taken where gradients are off; the term itself needs them.
    const at::AutoGradMode with_gradients(true);
    if (!step.student.logits.requires_grad()) step.student.logits = at::mm(step.images, weight.t());
    return Make(text)()->Compute(step).value();
  };
}

TEST(InputGradientTest, EqualsThePublishedValues) {
  ExpectPublished(OfWeight(""), StudentWeight(), 4.2285511012, 2.12560256248);
  ExpectPublished(OfWeight("form: DISTANCE"), StudentWeight(), 1.28704062418, 0.395456086161);
}

TEST(InputGradientTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfWeight(""), StudentWeight());
  ExpectGradient(OfWeight("form: DISTANCE"), StudentWeight());
}

Step LinearStep() {
  Step step;
  step.images = Images().set_requires_grad(true);
  step.student.logits = at::mm(step.images, StudentWeight().t());
  step.labels = Labels();
  step.teacher.gradients.images = LinearGradient(Images(), StudentWeight());
  return step;
}

TEST(InputGradientTest, IsZeroForAStudentThatEqualsItsTeacher) {
  for (const char* text : {"", "form: DISTANCE"}) {
    EXPECT_NEAR(Make(text)()->Compute(LinearStep())->item<double>(), 0, 1e-12);
  }
}

TEST(InputGradientTest, AsksForBothGradients) {
  const Needs needs = Make("")()->needs();
  EXPECT_TRUE(needs.student_image_gradient);
  EXPECT_TRUE(needs.targets.gradients.images);
  EXPECT_TRUE(needs.teacher());
}

TEST(InputGradientErrorTest, RefusesLogitsThatDoNotDependOnTheImages) {
  Step step = LinearStep();
  step.student.logits = StudentLogits().set_requires_grad(true);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "do not depend on the images");
}

TEST(InputGradientErrorTest, NamesAnotherShape) {
  Step step = LinearStep();
  step.teacher.gradients.images.reset();
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "nothing");
}

TEST(InputGradientErrorTest, RefusesLabelsBeyondTheClasses) {
  Step step = LinearStep();
  step.labels = at::tensor({0, 1, 2, 5}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kOutOfRange, "label 5");
}

}  // namespace
}  // namespace retort::kd
