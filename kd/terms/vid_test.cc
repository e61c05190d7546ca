#include "retort/kd/terms/vid.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
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
  return [=] { return MakeVid(Parse<config::Vid>(kPair + options)); };
}

TEST(VidTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make("regressor: NONE"), TeacherMap(8, 8, 6)), StudentMap(), 0.905650306849, 0.00512681244963);
}

TEST(VidTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

// The definition in plain loops, with the term's own weights; variances differ.
TEST(VidTest, EqualsItsDefinition) {
  const at::Tensor student = StudentMap().slice(2, 0, 1).slice(3, 0, 1), teacher = TeacherMap(1, 1, 3);
  const Step step = TapStep(student, teacher);
  const std::unique_ptr<Term> term = Make("initial_variance: 2")();
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  std::map<std::string, at::Tensor> parts;
  for (const auto& [name, tensor] : term->Parameters()) parts[name] = tensor.detach();
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_NEAR(std::log1p(std::exp(parts["0.rho"][0].item<double>())) + 1e-5, 2, 1e-12);
  parts["0.rho"][1] += 0.5;
  const auto layer = [](const at::Tensor& weight, const std::vector<double>& x) {
    std::vector<double> y(weight.size(0));
    for (int64_t i = 0; i < weight.size(0); ++i) {
      for (int64_t k = 0; k < weight.size(1); ++k) y[i] += weight[i][k][0][0].item<double>() * x[k];
    }
    return y;
  };
  double expected = 0;
  for (int64_t b = 0; b < 4; ++b) {
    std::vector<double> x;
    for (int64_t c = 0; c < 6; ++c) x.push_back(student[b][c][0][0].item<double>());
    for (const char* name : {"0.first.weight", "0.second.weight", "0.third.weight"}) {
      x = layer(parts[name], x);
      if (std::string(name) == "0.third.weight") break;
      for (double& value : x) value = std::max(value, 0.0);
    }
    for (int64_t c = 0; c < 3; ++c) {
      const double variance = std::log1p(std::exp(parts["0.rho"][c].item<double>())) + 1e-5;
      const double difference = x[c] - teacher[b][c][0][0].item<double>();
      expected += (difference * difference / variance + std::log(variance)) / 2 / 12;
    }
  }
  EXPECT_NEAR(term->Compute(step)->item<double>(), expected, 1e-12);
}

TEST(VidTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(VidErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(VidErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

TEST(VidErrorTest, NamesOtherChannelsWithoutARegressor) {
  ExpectFault(Make("regressor: NONE")()->Prepare(TapStep(StudentMap(), TeacherMap(8, 8)), 10),
              absl::StatusCode::kInvalidArgument, "without a regressor");
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), TeacherMap(8, 8))).status(),
              absl::StatusCode::kFailedPrecondition, "Prepare");
}

}  // namespace
}  // namespace retort::kd
