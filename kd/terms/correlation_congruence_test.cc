#include "retort/kd/terms/correlation_congruence.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeCorrelationCongruence(Parse<config::CorrelationCongruence>(text)); };
}

TEST(CorrelationCongruenceTest, EqualsThePublishedValue) {
  ExpectPublished(OfEmbedding(Make("neighbours { width: 0 }"), TeacherEmbedding(6)), StudentEmbedding(6), 5.11588819217,
                  2.40843201189);
}

// Computed with PyTorch from the definition in float64.
TEST(CorrelationCongruenceTest, OfTheKernelEqualsTheValueOfPyTorch) {
  ExpectPublished(OfEmbedding(Make("kernel {}"), TeacherEmbedding(8)), StudentEmbedding(6), 0.0182701164678,
                  0.0311576757577);
}

// A long series is the Gaussian kernel itself, in plain loops.
TEST(CorrelationCongruenceTest, ApproachesTheGaussianKernel) {
  const auto kernel = [](const at::Tensor& e, int64_t i, int64_t j) {
    double squared = 0;
    for (int64_t d = 0; d < e.size(1); ++d) {
      const double x = (e[i][d] / e[i].norm()).item<double>(), y = (e[j][d] / e[j].norm()).item<double>();
      squared += (x - y) * (x - y);
    }
    return std::exp(-0.7 * squared);
  };
  double sum = 0;
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      const double difference = kernel(StudentEmbedding(6), i, j) - kernel(TeacherEmbedding(8), i, j);
      sum += difference * difference;
    }
  }
  EXPECT_NEAR(
      OfEmbedding(Make("kernel { gamma: 0.7 order: 16 }"), TeacherEmbedding(8))(StudentEmbedding(6)).item<double>(),
      std::sqrt(sum) / 16, 1e-10);
}

TEST(CorrelationCongruenceTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfEmbedding(Make("neighbours { width: 0 }"), TeacherEmbedding(6)), StudentEmbedding(6));
  ExpectGradient(OfEmbedding(Make("neighbours { width: 5 }"), TeacherEmbedding(8)), StudentEmbedding(6));
  ExpectGradient(OfEmbedding(Make("kernel {}"), TeacherEmbedding(8)), StudentEmbedding(6));
}

TEST(CorrelationCongruenceTest, EmbedsBothSides) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(8);
  const std::unique_ptr<Term> term = Make("neighbours { width: 5 }")();
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  const std::vector<nn::NamedTensor> parameters = term->Parameters();
  ASSERT_EQ(parameters.size(), 4u);
  EXPECT_EQ(parameters[0].first, "student.weight");
  EXPECT_EQ(parameters[0].second.sizes(), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(parameters[2].first, "teacher.weight");
  EXPECT_EQ(parameters[2].second.sizes(), (std::vector<int64_t>{5, 8}));
  term->Compute(step).value().backward();
  for (const auto& [name, tensor] : parameters) EXPECT_TRUE(tensor.grad().defined()) << name;
}

TEST(CorrelationCongruenceErrorTest, NamesOtherWidthsWithoutLayers) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(8);
  ExpectFault(Make("neighbours { width: 0 }")()->Prepare(step, 10), absl::StatusCode::kInvalidArgument, "[4,8]");
}

TEST(CorrelationCongruenceTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfEmbedding(Make("neighbours { width: 0 }"), TeacherEmbedding(6))(TeacherEmbedding(6)).item<double>(), 0,
              1e-12);
}

TEST(CorrelationCongruenceTest, OfASingleImageIsZero) {
  const TermOf f = OfEmbedding(Make("neighbours { width: 0 }"), TeacherEmbedding(6).slice(0, 0, 1));
  EXPECT_NEAR(f(StudentEmbedding(6).slice(0, 0, 1)).item<double>(), 0, 1e-12);
  EXPECT_NEAR(GradientNorm(f, StudentEmbedding(6).slice(0, 0, 1)), 0, 1e-12);
}

TEST(CorrelationCongruenceTest, IsFiniteWhereEmbeddingsAreTheSameOrZero) {
  const TermOf f = OfEmbedding(Make("neighbours { width: 0 }"), TeacherEmbedding(6));
  for (const at::Tensor& student : {at::zeros_like(StudentEmbedding(6)), at::ones_like(StudentEmbedding(6))}) {
    EXPECT_TRUE(std::isfinite(f(student).item<double>()));
    EXPECT_TRUE(std::isfinite(GradientNorm(f, student)));
  }
}

TEST(CorrelationCongruenceErrorTest, NamesEmbeddingsOfOtherBatches) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(6).slice(0, 0, 3);
  for (const absl::Status& status : {Make("neighbours { width: 0 }")()->Prepare(step, 10),
                                     Make("neighbours { width: 0 }")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "[3,6]");
  }
}

TEST(KernelCongruenceTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfEmbedding(Make("kernel {}"), TeacherEmbedding(6))(TeacherEmbedding(6)).item<double>(), 0, 1e-12);
}

TEST(KernelCongruenceTest, OfASingleImageIsZero) {
  const TermOf f = OfEmbedding(Make("kernel {}"), TeacherEmbedding(6).slice(0, 0, 1));
  EXPECT_NEAR(f(StudentEmbedding(6).slice(0, 0, 1)).item<double>(), 0, 1e-12);
  EXPECT_NEAR(GradientNorm(f, StudentEmbedding(6).slice(0, 0, 1)), 0, 1e-12);
}

TEST(KernelCongruenceTest, IsFiniteWhereEmbeddingsAreTheSameOrZero) {
  const TermOf f = OfEmbedding(Make("kernel {}"), TeacherEmbedding(6));
  for (const at::Tensor& student : {at::zeros_like(StudentEmbedding(6)), at::ones_like(StudentEmbedding(6))}) {
    EXPECT_TRUE(std::isfinite(f(student).item<double>()));
    EXPECT_TRUE(std::isfinite(GradientNorm(f, student)));
  }
}

TEST(KernelCongruenceErrorTest, NamesEmbeddingsOfOtherBatches) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(6).slice(0, 0, 3);
  for (const absl::Status& status :
       {Make("kernel {}")()->Prepare(step, 10), Make("kernel {}")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "[3,6]");
  }
}

}  // namespace
}  // namespace retort::kd
