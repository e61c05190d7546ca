#include "retort/kd/terms/top_k_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeTopKCrossEntropy(Parse<config::TopKCrossEntropy>(text)); };
}

TermOf Of(const std::string& text) { return OfLogits(Make(text), TeacherLogits()); }

TEST(TopKCrossEntropyTest, EqualsThePublishedValues) {
  ExpectPublished(Of("k: 2"), StudentLogits(), 2.97106188993, 0.409173741485);
  ExpectPublished(Of("k: 5"), StudentLogits(), 2.95898304804, 0.40844585696);
  ExpectPublished(Of("k: 5 tail: RENORMALIZED"), StudentLogits(), 2.95898304804, 0.40844585696);
}

// The definition, in plain loops.
TEST(TopKCrossEntropyTest, DividesTheKeptProbabilitiesByTheirSum) {
  double expected = 0;
  for (int64_t b = 0; b < 4; ++b) {
    std::vector<std::pair<double, int64_t>> order;
    double sum = 0;
    for (int64_t c = 0; c < 5; ++c) {
      order.emplace_back(-TeacherLogits()[b][c].item<double>(), c);
      sum += std::exp(StudentLogits()[b][c].item<double>());
    }
    std::sort(order.begin(), order.end());
    const double first = std::exp(-order[0].first), second = std::exp(-order[1].first);
    const auto log_q = [&](int64_t c) { return StudentLogits()[b][c].item<double>() - std::log(sum); };
    expected -= (first * log_q(order[0].second) + second * log_q(order[1].second)) / (first + second) / 4;
  }
  EXPECT_NEAR(Of("k: 2 tail: RENORMALIZED")(StudentLogits()).item<double>(), expected, 1e-12);
}

TEST(TopKCrossEntropyTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(Of("k: 2"), StudentLogits());
  ExpectGradient(Of("k: 3 tail: RENORMALIZED"), StudentLogits());
}

TEST(TopKCrossEntropyTest, DoesNotDependOnTheOrderOfClassesAndImages) {
  const at::Tensor classes = at::tensor({3, 1, 4, 0, 2}, at::kLong), images = at::tensor({2, 0, 3, 1}, at::kLong);
  const auto reordered = [&](const at::Tensor& x) { return x.index_select(1, classes).index_select(0, images); };
  EXPECT_NEAR(OfLogits(Make("k: 2"), reordered(TeacherLogits()))(reordered(StudentLogits())).item<double>(),
              OfLogits(Make("k: 2"), TeacherLogits())(StudentLogits()).item<double>(), 1e-12);
}

TEST(TopKCrossEntropyTest, IsFiniteForLargeLogits) {
  const TermOf f = OfLogits(Make("k: 2"), TeacherLogits() * 1e4);
  for (const auto& [type, _] : kPrecisions) {
    const at::Tensor large = (StudentLogits() * 1e4).to(type);
    EXPECT_TRUE(std::isfinite(f(large).item<double>())) << type;
    EXPECT_TRUE(std::isfinite(GradientNorm(f, large))) << type;
  }
}

TEST(TopKCrossEntropyErrorTest, NamesLogitsOfOtherShape) {
  Step step = SingleImage();
  step.teacher.logits = TeacherLogits();
  const absl::Status status = Make("k: 2")()->Compute(step).status();
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[1,4]");
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[4,5]");
}

TEST(TopKCrossEntropyErrorTest, RefusesMoreThanAllClasses) {
  ExpectFault(Make("k: 5")()->Compute(SingleImage()).status(), absl::StatusCode::kInvalidArgument, "k = 5");
}

}  // namespace
}  // namespace retort::kd
