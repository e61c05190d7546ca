#include "retort/kd/terms/cross_entropy.h"

#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/testing/gradient_check.h"

namespace retort::kd {
namespace {

std::unique_ptr<Term> Make(double label_smoothing) {
  config::CrossEntropy config;
  config.set_label_smoothing(label_smoothing);
  return MakeCrossEntropy(config);
}

TermOf OfStudent(double label_smoothing) {
  return [=](const at::Tensor& logits) {
    Step step;
    step.student.logits = logits;
    step.labels = Labels();
    return Make(label_smoothing)->Compute(step).value();
  };
}

TEST(CrossEntropyTest, EqualsThePublishedValue) {
  for (const auto& [type, tolerance] : kPrecisions) {
    const at::Tensor logits = StudentLogits().to(type);
    EXPECT_NEAR(OfStudent(0)(logits).item<double>(), 2.94439764397, tolerance * 2.9);
    EXPECT_NEAR(GradientNorm(OfStudent(0), logits), 0.541482431941, tolerance * 0.5);
  }
}

// Worked out by hand: log(e^2 + e^-1 + e^0.5 + 1) = 2.342350; minus 0.5; smoothed, minus 0.9 * 0.5 + 0.1 * mean(z).
TEST(CrossEntropyTest, EqualsTheValueForOneImage) {
  EXPECT_NEAR(Make(0)->Compute(SingleImage())->item<double>(), 1.842350, 1e-6);
  EXPECT_NEAR(Make(0.1)->Compute(SingleImage())->item<double>(), 1.854850, 1e-6);
}

TEST(CrossEntropyTest, GradientIsThatOfCentralDifferences) {
  EXPECT_LT(testing::GradientError(OfStudent(0), StudentLogits()), 1e-6);
  EXPECT_LT(testing::GradientError(OfStudent(0.1), StudentLogits()), 1e-6);
}

TEST(CrossEntropyTest, NeedsNoTeacher) { EXPECT_FALSE(Make(0)->needs().teacher); }

TEST(CrossEntropyTest, RefusesAnotherNumberOfLabels) {
  Step step = SingleImage();
  step.labels = Labels();
  const absl::Status status = Make(0)->Compute(step).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("[1,4]"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace retort::kd
