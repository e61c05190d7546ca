#include "retort/kd/terms/hierarchical_context.h"

#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeHierarchicalContext(Parse<config::HierarchicalContext>(kPair + options)); };
}

TEST(HierarchicalContextTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8, 6)), StudentMap(), 0.70090897096, 0.0363077096764);
}

// Only pools that are smaller count: none for a map of one place, which leaves the mean square.
TEST(HierarchicalContextTest, OfOnePlaceIsTheMeanSquare) {
  const at::Tensor student = StudentMap().slice(2, 0, 1).slice(3, 0, 1);
  const at::Tensor teacher = TeacherMap(1, 1, 6);
  EXPECT_NEAR(OfTap(Make(""), teacher)(student).item<double>(), (student - teacher).square().mean().item<double>(),
              1e-14);
}

TEST(HierarchicalContextTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(8, 8, 3).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
  ExpectGradient(OfTap(Make("projection { kind: CONV_TO_SIZE }"), TeacherMap(4, 4).slice(0, 0, 2)),
                 StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(HierarchicalContextTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfTap(Make(""), StudentMap())(StudentMap()).item<double>(), 0, 0);
}

TEST(HierarchicalContextTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(HierarchicalContextErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(HierarchicalContextErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
