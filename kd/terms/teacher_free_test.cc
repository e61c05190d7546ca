#include "retort/kd/terms/teacher_free.h"

#include <string>

#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeTeacherFree(Parse<config::TeacherFree>(text)); };
}

TermOf Of(const std::string& text) { return OfLogits(Make(text), {}); }

// Computed with PyTorch from the definitions in float64: kl_div of log_softmax(z / 3) against softmax(log(p) / 3), p =
// 0.9 on the label, times 9, divided by 4; as published kl_div(log_softmax(z), softmax(p / 3)) with reduction mean.
TEST(TeacherFreeTest, EqualsTheValuesOfPyTorch) {
  ExpectPublished(Of("label_probability: 0.9 temperature: 3"), StudentLogits(), 3.33891372827, 0.594689554885);
  ExpectPublished(Of("label_probability: 0.9 temperature: 3 as_published: true"), StudentLogits(), 0.312468892567,
                  0.0600485758859);
}

// A teacher that is sure of the label at T = 1 is the label.
TEST(TeacherFreeTest, OfAProbabilityOfOneIsCrossEntropy) {
  ExpectPublished(Of("label_probability: 1 temperature: 1"), StudentLogits(), 2.94439764397, 0.541482431941);
}

TEST(TeacherFreeTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(Of(""), StudentLogits());
  ExpectGradient(Of("as_published: true"), StudentLogits());
}

TEST(TeacherFreeTest, NeedsNoTeacher) { EXPECT_FALSE(Make("")()->needs().teacher()); }

TEST(TeacherFreeErrorTest, RefusesASingleClass) {
  Step step = SingleImage();
  step.student.logits = step.student.logits.slice(1, 0, 1);
  step.labels = at::tensor({0}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "2 classes");
}

TEST(TeacherFreeErrorTest, RefusesLabelsBeyondTheClasses) {
  Step step = SingleImage();
  step.labels = at::tensor({4}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kOutOfRange, "label 4");
  step.labels = Labels();
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "[4]");
}

}  // namespace
}  // namespace retort::kd
