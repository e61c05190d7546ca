#include "retort/kd/terms/similarity_preserving.h"

#include <cmath>
#include <string>
#include <vector>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeSimilarityPreserving(Parse<config::SimilarityPreserving>(kPair + options)); };
}

TEST(SimilarityPreservingTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8)), StudentMap(), 0.00139818247882, 0.00117687305177);
}

TEST(SimilarityPreservingTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(2, 2)), StudentMap().slice(1, 0, 1));
  ExpectGradient(OfTap(Make(""), TeacherMap(2, 2)), StudentEmbedding(6));
}

TEST(SimilarityPreservingTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfTap(Make(""), StudentMap())(StudentMap()).item<double>(), 0, 0);
}

TEST(SimilarityPreservingTest, IsFiniteWhereEveryUnitIsDead) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6));
  EXPECT_TRUE(std::isfinite(f(at::zeros_like(StudentMap())).item<double>()));
  EXPECT_TRUE(std::isfinite(GradientNorm(f, at::zeros_like(StudentMap()))));
}

TEST(SimilarityPreservingTest, OfASingleImageIsFinite) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6).slice(0, 0, 1));
  EXPECT_TRUE(std::isfinite(f(StudentMap().slice(0, 0, 1)).item<double>()));
}

TEST(SimilarityPreservingTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(SimilarityPreservingErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(SimilarityPreservingErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
