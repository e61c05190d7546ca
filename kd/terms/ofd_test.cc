#include "retort/kd/terms/ofd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeOfd(Parse<config::Ofd>(kPair + options)); };
}

// Parts have random weights: with the batch norm's own scale 0 and shift `shift` the student is that everywhere.
double LossOfConstant(const at::Tensor& teacher, double shift, int steps = 1) {
  const std::unique_ptr<Term> term = Make("")();
  const Step step = TapStep(StudentMap(), teacher);
  EXPECT_EQ(term->Prepare(step, 10), absl::OkStatus());
  for (const auto& [name, tensor] : term->Parameters()) {
    if (name == "0.norm.weight") tensor.detach().zero_();
    if (name == "0.norm.bias") tensor.detach().fill_(shift);
  }
  for (int i = 1; i < steps; ++i) EXPECT_TRUE(term->Compute(TapStep(StudentMap(), teacher * 0 - i)).ok());
  return term->Compute(step)->item<double>();
}

// The definition in plain loops.
double Expected(const at::Tensor& teacher, double s, const std::vector<double>& margin) {
  double loss = 0;
  for (int64_t i = 0; i < teacher.numel(); ++i) {
    const int64_t c = i / 16 % teacher.size(1);
    const double u = std::max(teacher.flatten()[i].item<double>(), margin[c]);
    if (s > u || u > 0) loss += (s - u) * (s - u) / 4;
  }
  return loss;
}

std::vector<double> MeansOfNegatives(const at::Tensor& teacher) {
  std::vector<double> sum(teacher.size(1)), count(teacher.size(1));
  for (int64_t i = 0; i < teacher.numel(); ++i) {
    const double value = teacher.flatten()[i].item<double>();
    if (value >= 0) continue;
    sum[i / 16 % teacher.size(1)] += value;
    count[i / 16 % teacher.size(1)] += 1;
  }
  for (size_t c = 0; c < sum.size(); ++c) sum[c] /= count[c];
  return sum;
}

TEST(OfdTest, EqualsItsDefinition) {
  const at::Tensor teacher = TeacherMap(4, 4, 3);
  for (const double s : {-2.0, -0.5, 0.3, 2.0}) {
    const double expected = Expected(teacher, s, MeansOfNegatives(teacher));
    EXPECT_NEAR(LossOfConstant(teacher, s), expected, 1e-10) << s;
  }
}

TEST(OfdTest, MarginIsTheMeanOverAllSteps) {
  // Every value of the step before was -1: the margin lies between that and this step's own.
  const at::Tensor teacher = TeacherMap(4, 4, 3);
  const std::vector<double> own = MeansOfNegatives(teacher);
  std::vector<double> margin;
  for (int64_t c = 0; c < 3; ++c) {
    const double count = teacher.select(1, c).lt(0).sum().item<double>();
    margin.push_back((own[c] * count - 64) / (count + 64));
  }
  EXPECT_NEAR(LossOfConstant(teacher, -0.2, 2), Expected(teacher, -0.2, margin), 1e-10);
}

TEST(OfdTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(OfdTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(OfdErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(OfdErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
