#include "retort/kd/terms/multi_level.h"

#include <cmath>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeMultiLevel(Parse<config::MultiLevel>(text)); };
}

// softmax(z / T) of a row.
std::vector<double> Softmax(const at::Tensor& logits, int64_t b, double t) {
  std::vector<double> p;
  double sum = 0;
  for (int64_t c = 0; c < logits.size(1); ++c) sum += std::exp(logits[b][c].item<double>() / t);
  for (int64_t c = 0; c < logits.size(1); ++c) p.push_back(std::exp(logits[b][c].item<double>() / t) / sum);
  return p;
}

struct Parts {
  double instance = 0, batch = 0, classes = 0;
};

// The definition, in plain loops.
Parts Expected(double t) {
  const int64_t images = 4, classes = 5;
  std::vector<std::vector<double>> p, q;
  Parts parts;
  for (int64_t b = 0; b < images; ++b) {
    p.push_back(Softmax(TeacherLogits(), b, t));
    q.push_back(Softmax(StudentLogits(), b, t));
    for (int64_t c = 0; c < classes; ++c) parts.instance += t * t / 4 * p[b][c] * std::log(p[b][c] / q[b][c]);
  }
  for (int64_t i = 0; i < images; ++i) {
    for (int64_t j = 0; j < images; ++j) {
      double difference = 0;
      for (int64_t c = 0; c < classes; ++c) difference += p[i][c] * p[j][c] - q[i][c] * q[j][c];
      parts.batch += difference * difference / 4;
    }
  }
  for (int64_t c = 0; c < classes; ++c) {
    for (int64_t d = 0; d < classes; ++d) {
      double difference = 0;
      for (int64_t b = 0; b < images; ++b) difference += p[b][c] * p[b][d] - q[b][c] * q[b][d];
      parts.classes += difference * difference / 5;
    }
  }
  return parts;
}

TEST(MultiLevelTest, EqualsItsDefinition) {
  const Parts two = Expected(2), five = Expected(5);
  const auto value = [](const char* text) {
    return OfLogits(Make(text), TeacherLogits())(StudentLogits()).item<double>();
  };
  EXPECT_NEAR(value("temperature: 2 batch_weight: 0 class_weight: 0"), two.instance, 1e-10);
  EXPECT_NEAR(value("temperature: 2 instance_weight: 0 class_weight: 0"), two.batch, 1e-12);
  EXPECT_NEAR(value("temperature: 2 instance_weight: 0 batch_weight: 0"), two.classes, 1e-12);
  EXPECT_NEAR(value("temperature: 2 temperature: 5 instance_weight: 0.5 batch_weight: 3"),
              0.5 * (two.instance + five.instance) + 3 * (two.batch + five.batch) + two.classes + five.classes, 1e-10);
}

TEST(MultiLevelTest, OfF32IsNearThatOfF64) {
  const TermOf f = OfLogits(Make("temperature: 2 temperature: 6"), TeacherLogits());
  const double value = f(StudentLogits()).item<double>();
  EXPECT_NEAR(f(StudentLogits().to(at::kFloat)).item<double>(), value, 1e-5 * value);
}

TEST(MultiLevelTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfLogits(Make("temperature: 2 temperature: 3"), TeacherLogits()), StudentLogits());
}

TEST(MultiLevelTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfLogits(Make("temperature: 2"), TeacherLogits())(TeacherLogits()).item<double>(), 0, 1e-12);
}

TEST(MultiLevelTest, DoesNotChangeWhenLogitsAreShifted) {
  const double value = OfLogits(Make("temperature: 2"), TeacherLogits())(StudentLogits()).item<double>();
  EXPECT_NEAR(OfLogits(Make("temperature: 2"), TeacherLogits() - 7)(StudentLogits() + 5).item<double>(), value, 1e-12);
}

TEST(MultiLevelTest, DoesNotDependOnTheOrderOfClassesAndImages) {
  const at::Tensor classes = at::tensor({3, 1, 4, 0, 2}, at::kLong), images = at::tensor({2, 0, 3, 1}, at::kLong);
  const auto reordered = [&](const at::Tensor& x) { return x.index_select(1, classes).index_select(0, images); };
  EXPECT_NEAR(OfLogits(Make("temperature: 2"), reordered(TeacherLogits()))(reordered(StudentLogits())).item<double>(),
              OfLogits(Make("temperature: 2"), TeacherLogits())(StudentLogits()).item<double>(), 1e-12);
}

TEST(MultiLevelTest, IsFiniteForLargeLogits) {
  const TermOf f = OfLogits(Make("temperature: 2"), TeacherLogits() * 1e4);
  for (const auto& [type, _] : kPrecisions) {
    const at::Tensor large = (StudentLogits() * 1e4).to(type);
    EXPECT_TRUE(std::isfinite(f(large).item<double>())) << type;
    EXPECT_TRUE(std::isfinite(GradientNorm(f, large))) << type;
  }
}

TEST(MultiLevelErrorTest, NamesLogitsOfOtherShape) {
  Step step = SingleImage();
  step.teacher.logits = TeacherLogits();
  const absl::Status status = Make("temperature: 2")()->Compute(step).status();
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[1,4]");
  ExpectFault(status, absl::StatusCode::kInvalidArgument, "[4,5]");
}

}  // namespace
}  // namespace retort::kd
