#include "retort/kd/terms/pkt.h"

#include <cmath>
#include <string>

#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakePkt(Parse<config::Pkt>(text)); };
}

TEST(PktTest, EqualsThePublishedValue) {
  ExpectPublished(OfEmbedding(Make(""), TeacherEmbedding(8)), StudentEmbedding(6), 0.00588622192979, 0.026037423448);
}

TEST(PktTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfEmbedding(Make(""), TeacherEmbedding(8)), StudentEmbedding(6));
}

TEST(PktTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfEmbedding(Make(""), TeacherEmbedding(6))(TeacherEmbedding(6)).item<double>(), 0, 1e-12);
}

TEST(PktTest, OfASingleImageIsZero) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(6).slice(0, 0, 1));
  EXPECT_NEAR(f(StudentEmbedding(6).slice(0, 0, 1)).item<double>(), 0, 1e-12);
  EXPECT_NEAR(GradientNorm(f, StudentEmbedding(6).slice(0, 0, 1)), 0, 1e-12);
}

TEST(PktTest, IsFiniteWhereEmbeddingsAreTheSameOrZero) {
  const TermOf f = OfEmbedding(Make(""), TeacherEmbedding(6));
  for (const at::Tensor& student : {at::zeros_like(StudentEmbedding(6)), at::ones_like(StudentEmbedding(6))}) {
    EXPECT_TRUE(std::isfinite(f(student).item<double>()));
    EXPECT_TRUE(std::isfinite(GradientNorm(f, student)));
  }
}

TEST(PktErrorTest, NamesEmbeddingsOfOtherBatches) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(6).slice(0, 0, 3);
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "[3,6]");
  }
}

}  // namespace
}  // namespace retort::kd
