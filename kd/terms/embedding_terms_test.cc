// What terms that compare embeddings have in common; their values are in their own tests.

#include <cmath>
#include <ostream>
#include <string>

#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/kd/terms/pkt.h"
#include "retort/kd/terms/rkd.h"

namespace retort::kd {
namespace {

struct Case {
  std::string name;
  MakeTerm make;
};

std::ostream& operator<<(std::ostream& stream, const Case& term) { return stream << term.name; }

class EmbeddingTermTest : public ::testing::TestWithParam<Case> {};

TEST_P(EmbeddingTermTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfEmbedding(GetParam().make, TeacherEmbedding(8)), StudentEmbedding(6));
}

TEST_P(EmbeddingTermTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfEmbedding(GetParam().make, TeacherEmbedding(6))(TeacherEmbedding(6)).item<double>(), 0, 1e-12);
}

TEST_P(EmbeddingTermTest, OfASingleImageIsZero) {
  const TermOf f = OfEmbedding(GetParam().make, TeacherEmbedding(6).slice(0, 0, 1));
  EXPECT_NEAR(f(StudentEmbedding(6).slice(0, 0, 1)).item<double>(), 0, 1e-12);
  EXPECT_NEAR(GradientNorm(f, StudentEmbedding(6).slice(0, 0, 1)), 0, 1e-12);
}

TEST_P(EmbeddingTermTest, IsFiniteWhereEmbeddingsAreTheSameOrZero) {
  const TermOf f = OfEmbedding(GetParam().make, TeacherEmbedding(6));
  for (const at::Tensor& student : {at::zeros_like(StudentEmbedding(6)), at::ones_like(StudentEmbedding(6))}) {
    EXPECT_TRUE(std::isfinite(f(student).item<double>()));
    EXPECT_TRUE(std::isfinite(GradientNorm(f, student)));
  }
}

TEST_P(EmbeddingTermTest, NamesEmbeddingsOfOtherBatches) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(6).slice(0, 0, 3);
  for (const absl::Status& status : {GetParam().make()->Prepare(step, 10), GetParam().make()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "[3,6]");
  }
}

INSTANTIATE_TEST_SUITE_P(Terms, EmbeddingTermTest,
                         ::testing::Values(Case{"pkt", [] { return MakePkt({}); }},
                                           Case{"rkd", [] { return MakeRkd({}); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::kd
