#include "retort/kd/terms/rkd.h"

#include <cmath>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeRkd(Parse<config::Rkd>(text)); };
}

TEST(RkdTest, EqualsThePublishedValues) {
  const at::Tensor teacher = TeacherEmbedding(8);
  ExpectPublished(OfEmbedding(Make(""), teacher), StudentEmbedding(6), 0.636082778444, 2.51936215805);
  ExpectPublished(OfEmbedding(Make("distance_weight: 1 angle_weight: 0"), teacher), StudentEmbedding(6),
                  0.00441242583562, 0.0203188455144);
  ExpectPublished(OfEmbedding(Make("distance_weight: 0 angle_weight: 1"), teacher), StudentEmbedding(6),
                  0.0105154426511, 0.043372646572);
}

TEST(RkdTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfEmbedding(Make(""), TeacherEmbedding(8)), StudentEmbedding(6));
}

TEST(RkdTest, DoesNotChangeWhenEmbeddingsAreShiftedAndScaled) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(8));
  EXPECT_NEAR(f(StudentEmbedding(6) * 3 + 2).item<double>(), f(StudentEmbedding(6)).item<double>(), 1e-10);
}

TEST(RkdTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfEmbedding(Make(""), TeacherEmbedding(6))(TeacherEmbedding(6)).item<double>(), 0, 1e-12);
}

TEST(RkdTest, OfASingleImageIsZero) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(6).slice(0, 0, 1));
  EXPECT_NEAR(f(StudentEmbedding(6).slice(0, 0, 1)).item<double>(), 0, 1e-12);
  EXPECT_NEAR(GradientNorm(f, StudentEmbedding(6).slice(0, 0, 1)), 0, 1e-12);
}

TEST(RkdTest, IsFiniteWhereEmbeddingsAreTheSameOrZero) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(6));
  for (const at::Tensor& student : {at::zeros_like(StudentEmbedding(6)), at::ones_like(StudentEmbedding(6))}) {
    EXPECT_TRUE(std::isfinite(f(student).item<double>()));
    EXPECT_TRUE(std::isfinite(GradientNorm(f, student)));
  }
}

TEST(RkdErrorTest, NamesEmbeddingsOfOtherBatches) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(6).slice(0, 0, 3);
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "[3,6]");
  }
}

}  // namespace
}  // namespace retort::kd
