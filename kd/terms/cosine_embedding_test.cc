#include "retort/kd/terms/cosine_embedding.h"

#include <cmath>
#include <string>

#include "ATen/ops/cosine_embedding_loss.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"
#include "retort/testing/gradient_check.h"

namespace retort::kd {
namespace {

TermOf OfStudent(const at::Tensor& teacher) {
  return [teacher](const at::Tensor& student) {
    Step step;
    step.student.embedding = student;
    step.teacher.embedding = teacher.to(student.scalar_type());
    return MakeCosineEmbedding({})->Compute(step).value();
  };
}

// The definition, in plain loops. `group_s` and `group_t` neighbours are averaged first.
double Expected(const at::Tensor& student, const at::Tensor& teacher) {
  const int64_t width = std::min(student.size(1), teacher.size(1));
  const auto pooled = [width](const at::Tensor& x, int64_t b, int64_t d) {
    const int64_t group = x.size(1) / width;
    double sum = 0;
    for (int64_t k = 0; k < group; ++k) sum += x[b][d * group + k].item<double>();
    return sum / static_cast<double>(group);
  };
  double loss = 0;
  for (int64_t b = 0; b < student.size(0); ++b) {
    double dot = 0, x2 = 0, y2 = 0;
    for (int64_t d = 0; d < width; ++d) {
      const double x = pooled(student, b, d), y = pooled(teacher, b, d);
      dot += x * y;
      x2 += x * x;
      y2 += y * y;
    }
    loss += 1 - dot / std::sqrt(x2 * y2);
  }
  return loss / static_cast<double>(student.size(0));
}

struct Case {
  std::string name;
  int64_t student;  // width
  int64_t teacher;
};

class CosineEmbeddingTest : public ::testing::TestWithParam<Case> {
 protected:
  const at::Tensor student_ = StudentEmbedding(GetParam().student);
  const at::Tensor teacher_ = TeacherEmbedding(GetParam().teacher);
};

TEST_P(CosineEmbeddingTest, EqualsTheDefinition) {
  for (const auto& [type, tolerance] : kPrecisions) {
    EXPECT_NEAR(OfStudent(teacher_)(student_.to(type)).item<double>(), Expected(student_, teacher_), tolerance);
  }
}

TEST_P(CosineEmbeddingTest, GradientIsThatOfCentralDifferences) {
  EXPECT_LT(testing::GradientError(OfStudent(teacher_), student_), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Widths, CosineEmbeddingTest,
                         ::testing::Values(Case{"equal", 6, 6}, Case{"wider_teacher", 6, 12},
                                           Case{"wider_student", 9, 3}),
                         [](const auto& test) { return test.param.name; });

TEST(CosineEmbeddingLossTest, EqualsPyTorchsLossWithTargetOne) {
  const at::Tensor student = StudentEmbedding(6);
  const at::Tensor teacher = TeacherEmbedding(6);
  EXPECT_NEAR(OfStudent(teacher)(student).item<double>(),
              at::cosine_embedding_loss(student, teacher, at::ones({4}, at::kDouble)).item<double>(), 1e-14);
}

TEST(CosineEmbeddingLossTest, IsFiniteAtZeroVectors) {
  const at::Tensor zero = at::zeros_like(StudentEmbedding(6));
  EXPECT_EQ(OfStudent(TeacherEmbedding(6))(zero).item<double>(), 1);
  EXPECT_TRUE(std::isfinite(GradientNorm(OfStudent(TeacherEmbedding(6)), zero)));
}

TEST(CosineEmbeddingErrorTest, RefusesAWidthThatDoesNotDivide) {
  Step step;
  step.student.embedding = StudentEmbedding(6);
  step.teacher.embedding = TeacherEmbedding(8);
  const absl::Status status = MakeCosineEmbedding({})->Compute(step).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("[4,8]"), absl::string_view::npos) << status;
}

TEST(CosineEmbeddingErrorTest, RefusesAMissingEmbedding) {
  EXPECT_EQ(MakeCosineEmbedding({})->Compute({}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace retort::kd
