#include "retort/kd/terms/dist.h"

#include <cmath>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeDist(Parse<config::Dist>(text)); };
}

TEST(DistTest, EqualsThePublishedValues) {
  ExpectPublished(OfLogits(Make(""), TeacherLogits()), StudentLogits(), 1.89835218071, 0.175272878377);
  ExpectPublished(OfLogits(Make("temperature: 4"), TeacherLogits()), StudentLogits(), 28.3003647412, 2.4616890989);
}

TEST(DistTest, IsTheSumOfItsParts) {
  const auto value = [](const char* text) {
    return OfLogits(Make(text), TeacherLogits())(StudentLogits()).item<double>();
  };
  EXPECT_NEAR(value("inter_weight: 3 intra_weight: 0") + value("inter_weight: 0 intra_weight: 2"),
              value("inter_weight: 3 intra_weight: 2"), 1e-12);
}

TEST(DistTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfLogits(Make("temperature: 2"), TeacherLogits()), StudentLogits());
}

// 1e-8 in the denominator keeps correlations below 1, most where the probabilities of a class are all near 0.
TEST(DistTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfLogits(Make(""), TeacherLogits())(TeacherLogits()).item<double>(), 0, 1e-3);
}

TEST(DistTest, DoesNotChangeWhenLogitsAreShifted) {
  const double value = OfLogits(Make(""), TeacherLogits())(StudentLogits()).item<double>();
  EXPECT_NEAR(OfLogits(Make(""), TeacherLogits() - 7)(StudentLogits() + 5).item<double>(), value, 1e-12);
}

TEST(DistTest, DoesNotDependOnTheOrderOfClassesAndImages) {
  const at::Tensor classes = at::tensor({3, 1, 4, 0, 2}, at::kLong), images = at::tensor({2, 0, 3, 1}, at::kLong);
  const auto reordered = [&](const at::Tensor& x) { return x.index_select(1, classes).index_select(0, images); };
  EXPECT_NEAR(OfLogits(Make(""), reordered(TeacherLogits()))(reordered(StudentLogits())).item<double>(),
              OfLogits(Make(""), TeacherLogits())(StudentLogits()).item<double>(), 1e-12);
}

TEST(DistTest, IsFiniteForLargeLogits) {
  const TermOf f = OfLogits(Make(""), TeacherLogits() * 1e4);
  for (const auto& [type, _] : kPrecisions) {
    const at::Tensor large = (StudentLogits() * 1e4).to(type);
    EXPECT_TRUE(std::isfinite(f(large).item<double>())) << type;
    EXPECT_TRUE(std::isfinite(GradientNorm(f, large))) << type;
  }
}

TEST(DistTest, OfASingleImageHasNoCorrelationOverImages) {
  const Step step = SingleImage();
  EXPECT_EQ(Make("temperature: 2 inter_weight: 0")()->Compute(step)->item<double>(), 4);
}

TEST(DistErrorTest, NamesLogitsOfOtherShape) {
  Step step = SingleImage();
  step.teacher.logits = TeacherLogits();
  const absl::Status status = Make("")()->Compute(step).status();
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[1,4]");
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[4,5]");
}

}  // namespace
}  // namespace retort::kd
