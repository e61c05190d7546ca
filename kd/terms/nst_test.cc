#include "retort/kd/terms/nst.h"

#include <cmath>
#include <string>
#include <vector>

#include "ATen/ops/flip.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeNst(Parse<config::Nst>(kPair + options)); };
}

TEST(NstTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8)), StudentMap(), 0.98297207821, 0.0102512350583);
}

TEST(NstTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(NstTest, DoesNotDependOnTheOrderOfChannels) {
  const at::Tensor value = OfTap(Make(""), TeacherMap(8, 8))(StudentMap());
  EXPECT_NEAR(OfTap(Make(""), TeacherMap(8, 8).flip(1))(StudentMap()).item<double>(), value.item<double>(), 1e-12);
}

TEST(NstTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfTap(Make(""), StudentMap())(StudentMap()).item<double>(), 0, 1e-12);
}

TEST(NstTest, IsFiniteWhereEveryUnitIsDead) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6));
  EXPECT_TRUE(std::isfinite(f(at::zeros_like(StudentMap())).item<double>()));
  EXPECT_TRUE(std::isfinite(GradientNorm(f, at::zeros_like(StudentMap()))));
}

TEST(NstTest, OfASingleImageIsFinite) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6).slice(0, 0, 1));
  EXPECT_TRUE(std::isfinite(f(StudentMap().slice(0, 0, 1)).item<double>()));
}

TEST(NstTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(NstErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(NstErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
