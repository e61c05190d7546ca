#include "retort/kd/terms/fsp.h"

#include <string>

#include "ATen/ops/avg_pool2d.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPairs[] = "pair { student: 's1' teacher: 't1' } pair { student: 's2' teacher: 't2' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeFsp(Parse<config::Fsp>(kPairs + options)); };
}

// Stages are a map and its 2x2 average pool.
Step StepOf(const at::Tensor& student, const at::Tensor& teacher) {
  Step step;
  step.student.taps = {{"s1", student}, {"s2", at::avg_pool2d(student, 2)}};
  step.teacher.taps = {{"t1", teacher}, {"t2", at::avg_pool2d(teacher, 2)}};
  return step;
}

TermOf Of(const std::string& options, const at::Tensor& teacher) {
  return [=](const at::Tensor& student) {
    return Make(options)()->Compute(StepOf(student, teacher.to(student.scalar_type()))).value();
  };
}

TEST(FspTest, EqualsThePublishedValue) {
  ExpectPublished(Of("", TeacherMap(8, 8, 6)), StudentMap(), 0.00485050581535, 0.00259865549361);
}

TEST(FspTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(Of("", TeacherMap(8, 8, 3).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(FspTest, SumsOverNeighbours) {
  const double once = Of("", TeacherMap(8, 8, 6))(StudentMap()).item<double>();
  // s2 to s1 is the transposed flow.
  EXPECT_NEAR(Of("pair { student: 's1' teacher: 't1' }", TeacherMap(8, 8, 6))(StudentMap()).item<double>(), 2 * once,
              1e-14);
}

TEST(FspTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_EQ(Of("", StudentMap())(StudentMap()).item<double>(), 0);
}

TEST(FspErrorTest, NamesTapsOfOtherChannels) {
  ExpectFault(Make("")()->Compute(StepOf(StudentMap(), TeacherMap(8, 8))).status(), absl::StatusCode::kInvalidArgument,
              "\"t1\" [4,8,8,8]");
}

TEST(FspErrorTest, NamesStagesOfWhichNeitherIsTheLarger) {
  Step step = StepOf(StudentMap(), TeacherMap(8, 8, 6));
  step.student.taps["s2"] = at::avg_pool2d(StudentMap(), {8, 1}).repeat({1, 1, 1, 2});
  ExpectFault(Make("")()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "\"s2\" [4,6,1,16]");
}

}  // namespace
}  // namespace retort::kd
