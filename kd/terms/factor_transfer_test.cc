#include "retort/kd/terms/factor_transfer.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

MakeTerm Make(const std::string& options) {
  return [=] { return MakeFactorTransfer(Parse<config::FactorTransfer>(kPair + options)); };
}

TEST(FactorTransferTest, EqualsThePublishedValue) {
  ExpectPublished(OfTap(Make(""), TeacherMap(8, 8)), StudentMap(), 0.00408346713924, 0.00887945416327);
}

// The definition of FLATTENED in plain loops.
TEST(FactorTransferTest, ComparesAllElementsOnRequest) {
  const at::Tensor student = StudentMap(), teacher = TeacherMap(8, 8, 6);
  const auto length = [](const at::Tensor& x) {
    double sum = 0;
    for (int64_t i = 0; i < x.numel(); ++i) sum += std::pow(x.flatten()[i].item<double>(), 2);
    return std::sqrt(sum);
  };
  double expected = 0;
  for (int64_t b = 0; b < 4; ++b) {
    const at::Tensor s = student[b].flatten(), t = teacher[b].flatten();
    const double s_length = length(s), t_length = length(t);
    for (int64_t i = 0; i < s.numel(); ++i) {
      expected += std::abs(s[i].item<double>() / s_length - t[i].item<double>() / t_length);
    }
  }
  expected /= static_cast<double>(student.numel());
  EXPECT_NEAR(OfTap(Make("factor: FLATTENED"), teacher)(student).item<double>(), expected, 1e-12);
}

TEST(FactorTransferTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
  ExpectGradient(OfTap(Make("factor: FLATTENED projection { kind: CONV_1X1 }"), TeacherMap(4, 4, 2).slice(0, 0, 2)),
                 StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

TEST(FactorTransferTest, IsZeroForAStudentThatEqualsItsTeacher) {
  EXPECT_NEAR(OfTap(Make(""), StudentMap())(StudentMap()).item<double>(), 0, 0);
}

TEST(FactorTransferTest, IsFiniteWhereEveryUnitIsDead) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6));
  EXPECT_TRUE(std::isfinite(f(at::zeros_like(StudentMap())).item<double>()));
  EXPECT_TRUE(std::isfinite(GradientNorm(f, at::zeros_like(StudentMap()))));
}

TEST(FactorTransferTest, OfASingleImageIsFinite) {
  const TermOf f = OfTap(Make(""), TeacherMap(8, 8, 6).slice(0, 0, 1));
  EXPECT_TRUE(std::isfinite(f(StudentMap().slice(0, 0, 1)).item<double>()));
}

TEST(FactorTransferTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(FactorTransferErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(FactorTransferErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
