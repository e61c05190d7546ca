#include "retort/kd/terms/dkd.h"

#include <cmath>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeDkd(Parse<config::Dkd>(text)); };
}

TEST(DkdTest, EqualsThePublishedValues) {
  ExpectPublished(OfLogits(Make(""), TeacherLogits()), StudentLogits(), 27.4141671322, 4.8307917552);
  ExpectPublished(OfLogits(Make("non_target_weight: 0"), TeacherLogits()), StudentLogits(), 1.43965025396,
                  0.420029027163);
  ExpectPublished(OfLogits(Make("target_weight: 0 non_target_weight: 1"), TeacherLogits()), StudentLogits(),
                  3.24681460978, 0.605107735076);
}

TEST(DkdTest, StandardizesLogitsOnRequest) {
  const TermOf f = OfLogits(Make("standardize: true"), TeacherLogits());
  EXPECT_NEAR(f(StudentLogits()).item<double>(), f(StudentLogits() * 2 + 1).item<double>(), 1e-5);
  ExpectGradient(f, StudentLogits());
}

TEST(DkdTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfLogits(Make(""), TeacherLogits()), StudentLogits());
}

TEST(DkdTest, DoesNotChangeWhenLogitsAreShifted) {
  const double value = OfLogits(Make(""), TeacherLogits())(StudentLogits()).item<double>();
  EXPECT_NEAR(OfLogits(Make(""), TeacherLogits() - 7)(StudentLogits() + 5).item<double>(), value, 1e-12);
}

TEST(DkdTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfLogits(Make(""), TeacherLogits())(TeacherLogits()).item<double>(), 0, 1e-12);
}

TEST(DkdTest, IsFiniteForLargeLogits) {
  const TermOf f = OfLogits(Make("temperature: 1e4"), TeacherLogits() * 1e4);
  for (const auto& [type, _] : kPrecisions) {
    const at::Tensor large = (StudentLogits() * 1e4).to(type);
    EXPECT_TRUE(std::isfinite(f(large).item<double>())) << type;
    EXPECT_TRUE(std::isfinite(GradientNorm(f, large))) << type;
  }
}

TEST(DkdErrorTest, NamesLogitsOfOtherShape) {
  Step step = SingleImage();
  step.teacher.logits = TeacherLogits();
  const absl::Status status = Make("")()->Compute(step).status();
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[1,4]");
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[4,5]");
}

TEST(DkdErrorTest, RefusesLabelsBeyondTheClasses) {
  Step step = SingleImage();
  step.labels = at::tensor({4}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kOutOfRange, "label 4");
  step.labels = Labels();
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "[4]");
}

TEST(DkdErrorTest, RefusesTwoClasses) {
  Step step = SingleImage();
  step.student.logits = step.student.logits.slice(1, 0, 2);
  step.teacher.logits = step.teacher.logits.slice(1, 0, 2);
  step.labels = at::tensor({1}, at::kLong);
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "3 classes");
}

}  // namespace
}  // namespace retort::kd
