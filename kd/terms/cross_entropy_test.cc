#include "retort/kd/terms/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ATen/ops/ones.h"
#include "ATen/ops/roll.h"
#include "ATen/ops/tensor.h"
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

// Two cross-entropies in plain loops.
double MixedByHand(const at::Tensor& logits, const std::vector<int64_t>& labels, const std::vector<int64_t>& partners,
                   const std::vector<double>& lambda, double smoothing) {
  double sum = 0;
  for (int64_t b = 0; b < 4; ++b) {
    double normalizer = 0, mean = 0;
    for (int64_t k = 0; k < 5; ++k) {
      const double z = logits[b][k].item<double>();
      normalizer += std::exp(z);
      mean += z / 5;
    }
    const auto loss = [&](int64_t label) {
      return std::log(normalizer) - (1 - smoothing) * logits[b][label].item<double>() - smoothing * mean;
    };
    const auto i = static_cast<size_t>(b);
    sum += lambda[i] * loss(labels[i]) + (1 - lambda[i]) * loss(partners[i]);
  }
  return sum / 4;
}

TEST(CrossEntropyTest, OfMixedImagesWeighsBothLabels) {
  const std::vector<double> lambda = {0.25, 1, 0, 0.7};
  for (const auto& [type, tolerance] : kPrecisions) {
    for (const double smoothing : {0.0, 0.1}) {
      Step step;
      step.student.logits = StudentLogits().to(type);
      step.labels = Labels();
      step.partner_labels = Labels().roll(1);
      step.lambda = at::tensor({0.25f, 1.0f, 0.0f, 0.7f});
      const double expected = MixedByHand(StudentLogits(), {0, 3, 1, 4}, {4, 0, 3, 1}, lambda, smoothing);
      // 0.7 is of f32.
      EXPECT_NEAR(Make(smoothing)->Compute(step)->item<double>(), expected, std::max(tolerance, 1e-7) * 10);
    }
  }
}

// A lone image's own label: the same loss as without mixing, and the same gradient.
TEST(CrossEntropyTest, OfMixedImagesIsThatOfUnmixedOnesWhereLambdaIsOne) {
  const TermOf mixed = [](const at::Tensor& logits) {
    Step step;
    step.student.logits = logits;
    step.labels = Labels();
    step.partner_labels = Labels().roll(1);
    step.lambda = at::ones({4});
    return Make(0.1)->Compute(step).value();
  };
  EXPECT_NEAR(mixed(StudentLogits()).item<double>(), OfStudent(0.1)(StudentLogits()).item<double>(), 1e-12);
  EXPECT_NEAR(GradientNorm(mixed, StudentLogits()), GradientNorm(OfStudent(0.1), StudentLogits()), 1e-12);
}

TEST(CrossEntropyTest, RefusesPartnersThatAreNone) {
  Step step = SingleImage();
  step.lambda = at::ones({1});
  EXPECT_EQ(Make(0)->Compute(step).status().code(), absl::StatusCode::kInvalidArgument);
  step.partner_labels = step.labels.add(100);
  EXPECT_EQ(Make(0)->Compute(step).status().code(), absl::StatusCode::kOutOfRange);
  step.partner_labels = step.labels;
  step.lambda = at::ones({2});
  EXPECT_EQ(Make(0)->Compute(step).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CrossEntropyTest, NeedsNoTeacher) { EXPECT_FALSE(Make(0)->needs().teacher()); }

TEST(CrossEntropyTest, RefusesAnotherNumberOfLabels) {
  Step step = SingleImage();
  step.labels = Labels();
  const absl::Status status = Make(0)->Compute(step).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("[1,4]"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace retort::kd
