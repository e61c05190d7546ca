#include "retort/kd/terms/hint.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeHint(Parse<config::Hint>(kPair + options)); };
}

TEST(HintTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8, 6)), StudentMap(), 1.00931350632, 0.0512681244963);
}

struct Case {
  std::string name;
  std::string projection;
  at::Tensor student;
  at::Tensor teacher;
  std::vector<std::pair<std::string, std::vector<int64_t>>> parameters;  // name, shape
};

class HintProjectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(HintProjectionTest, BringsTheStudentToTheTeachersShape) {
  const std::unique_ptr<Term> term = Make(" projection { " + GetParam().projection + " }")();
  const Step step = TapStep(GetParam().student, GetParam().teacher);
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  const absl::StatusOr<at::Tensor> value = term->Compute(step);
  ASSERT_TRUE(value.ok()) << value.status();
  value->backward();
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  for (const auto& [name, tensor] : term->Parameters()) {
    shapes.emplace_back(name, tensor.sizes().vec());
    EXPECT_EQ(tensor.scalar_type(), at::kDouble);
    EXPECT_TRUE(tensor.grad().defined()) << name;
  }
  EXPECT_EQ(shapes, GetParam().parameters);
}

TEST_P(HintProjectionTest, GradientIsThatOfCentralDifferences) {
  const MakeTerm make = Make(" projection { " + GetParam().projection + " }");
  ExpectGradient(OfTap(make, GetParam().teacher.slice(0, 0, 2)), GetParam().student.slice(0, 0, 2));
}

INSTANTIATE_TEST_SUITE_P(Projections, HintProjectionTest,
                         ::testing::Values(Case{"conv_1x1",
                                                "kind: CONV_1X1",
                                                StudentMap().slice(1, 0, 2),
                                                TeacherMap(4, 4, 3),
                                                {{"0.conv.weight", {3, 2, 1, 1}}, {"0.conv.bias", {3}}}},
                                           Case{"conv_3x3_norm",
                                                "kind: CONV_3X3 batch_norm: true",
                                                StudentMap().slice(1, 0, 2),
                                                TeacherMap(8, 8, 3),
                                                {{"0.conv.weight", {3, 2, 3, 3}},
                                                 {"0.conv.bias", {3}},
                                                 {"0.norm.weight", {3}},
                                                 {"0.norm.bias", {3}}}},
                                           Case{"to_half",
                                                "kind: CONV_TO_SIZE",
                                                StudentMap().slice(1, 0, 2),
                                                TeacherMap(4, 4, 3),
                                                {{"0.conv.weight", {3, 2, 3, 3}}, {"0.conv.bias", {3}}}},
                                           Case{"to_double",
                                                "kind: CONV_TO_SIZE",
                                                StudentMap().slice(1, 0, 2),
                                                TeacherMap(16, 16, 3),
                                                {{"0.conv.weight", {2, 3, 4, 4}}, {"0.conv.bias", {3}}}},
                                           Case{"to_less",
                                                "kind: CONV_TO_SIZE",
                                                StudentMap().slice(1, 0, 2),
                                                TeacherMap(7, 5, 3),
                                                {{"0.conv.weight", {3, 2, 2, 4}}, {"0.conv.bias", {3}}}},
                                           Case{"linear",
                                                "kind: LINEAR",
                                                StudentEmbedding(6),
                                                TeacherEmbedding(8),
                                                {{"0.linear.weight", {8, 6}}, {"0.linear.bias", {8}}}}),
                         [](const auto& test) { return test.param.name; });

// A 1x1 convolution in plain loops, with the term's own weights.
TEST(HintTest, ComparesTheProjectedFeatures) {
  const std::unique_ptr<Term> term = Make(" projection { kind: CONV_1X1 relu: true }")();
  const at::Tensor student = StudentMap().slice(2, 0, 2).slice(3, 0, 2);
  const at::Tensor teacher = TeacherMap(2, 2, 3);
  const Step step = TapStep(student, teacher);
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  const at::Tensor weight = term->Parameters()[0].second, bias = term->Parameters()[1].second;
  double expected = 0;
  for (int64_t i = 0; i < teacher.numel(); ++i) {
    const int64_t b = i / 12, c = i / 4 % 3, h = i / 2 % 2, w = i % 2;
    double x = bias[c].item<double>();
    for (int64_t k = 0; k < 6; ++k) x += weight[c][k][0][0].item<double>() * student[b][k][h][w].item<double>();
    const double difference = std::max(x, 0.0) - teacher[b][c][h][w].item<double>();
    expected += difference * difference / static_cast<double>(teacher.numel());
  }
  EXPECT_NEAR(term->Compute(step)->item<double>(), expected, 1e-12);
}

TEST(HintTest, SumsOverPairs) {
  const double once = OfTap(Make(""), TeacherMap(8, 8, 6))(StudentMap()).item<double>();
  EXPECT_NEAR(OfTap(Make(kPair), TeacherMap(8, 8, 6))(StudentMap()).item<double>(), 2 * once, 1e-12);
}

TEST(HintTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfTap(Make(""), StudentMap())(StudentMap()).item<double>(), 0, 0);
}

TEST(HintTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(HintErrorTest, NamesShapesThatDoNotFitTogether) {
  const auto fault = [](const char* projection, const at::Tensor& student, const at::Tensor& teacher) {
    return Make(projection)()->Prepare(TapStep(student, teacher), 10);
  };
  ExpectFault(fault("", StudentMap(), TeacherMap(8, 8)), absl::StatusCode::kInvalidArgument, "choose a projection");
  ExpectFault(fault("projection { kind: CONV_TO_SIZE }", StudentMap(), TeacherMap(9, 9)),
              absl::StatusCode::kInvalidArgument, "[4,8,9,9]");
  ExpectFault(fault("projection { kind: CONV_1X1 }", StudentEmbedding(6), TeacherMap(8, 8)),
              absl::StatusCode::kInvalidArgument, "for a convolution");
  ExpectFault(fault("projection { kind: LINEAR }", StudentMap(), TeacherMap(8, 8)), absl::StatusCode::kInvalidArgument,
              "[B,T,D]");
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), StudentMap())).status(), absl::StatusCode::kFailedPrecondition,
              "Prepare");
}

TEST(HintErrorTest, BatchNormRefusesASingleValue) {
  const std::unique_ptr<Term> term = Make(" projection { kind: CONV_1X1 batch_norm: true }")();
  ASSERT_EQ(term->Prepare(TapStep(StudentMap(), TeacherMap(1, 1)), 10), absl::OkStatus());
  ExpectFault(term->Compute(TapStep(StudentMap().slice(0, 0, 1), TeacherMap(1, 1).slice(0, 0, 1))).status(),
              absl::StatusCode::kInvalidArgument, "batch norm");
}

}  // namespace
}  // namespace retort::kd
