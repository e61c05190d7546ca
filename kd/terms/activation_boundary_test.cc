#include "retort/kd/terms/activation_boundary.h"

#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeActivationBoundary(Parse<config::ActivationBoundary>(kPair + options)); };
}

TEST(ActivationBoundaryTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8, 6)), StudentMap(), 1.74157531112, 0.0722822656906);
}

TEST(ActivationBoundaryTest, EarlierPairsCountHalfOfTheNext) {
  const double once = OfTap(Make(""), TeacherMap(8, 8, 6))(StudentMap()).item<double>();
  EXPECT_NEAR(OfTap(Make(kPair), TeacherMap(8, 8, 6))(StudentMap()).item<double>(), 1.5 * once, 1e-12);
}

TEST(ActivationBoundaryTest, IsZeroBeyondTheMarginOnTheRightSide) {
  const TermOf f = OfTap(Make("margin: 0.5"), TeacherMap(8, 8, 6));
  EXPECT_EQ(f(TeacherMap(8, 8, 6).sign()).item<double>(), 0);
  EXPECT_GT(f(TeacherMap(8, 8, 6).sign() * 0.4).item<double>(), 0);
}

TEST(ActivationBoundaryTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(8, 8, 3).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
  ExpectGradient(OfTap(Make("projection { kind: CONV_1X1 batch_norm: true }"), TeacherMap(4, 4).slice(0, 0, 2)),
                 StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(ActivationBoundaryTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(ActivationBoundaryErrorTest, NamesMapsOfOtherChannels) {
  ExpectFault(Make("")()->Prepare(TapStep(StudentMap(), TeacherMap(8, 8)), 10), absl::StatusCode::kInvalidArgument,
              "\"t\" [4,8,8,8]");
}

}  // namespace
}  // namespace retort::kd
