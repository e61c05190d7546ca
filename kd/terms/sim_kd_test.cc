#include "retort/kd/terms/sim_kd.h"

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
  return [=] { return MakeSimKd(Parse<config::SimKd>(kPair + options)); };
}

TEST(SimKdTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfTap(Make(""), TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 3));
}

// With scales 0 the projector's last ReLU gives its shift everywhere.
TEST(SimKdTest, ComparesTheProjectorsOutput) {
  const std::unique_ptr<Term> term = Make("")();
  const at::Tensor teacher = TeacherMap(4, 4);
  const Step step = TapStep(StudentMap(), teacher);
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  for (const auto& [name, tensor] : term->Parameters()) {
    if (name == "third_norm.weight") tensor.detach().zero_();
    if (name == "third_norm.bias") tensor.detach().fill_(0.25);
  }
  EXPECT_NEAR(term->Compute(step)->item<double>(), (teacher - 0.25).square().mean().item<double>(), 1e-12);
}

TEST(SimKdTest, HasTheProjectorOfThePaper) {
  const std::unique_ptr<Term> term = Make("")();
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8));
  ASSERT_EQ(term->Prepare(step, 10), absl::OkStatus());
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : term->Parameters()) shapes[name] = tensor.sizes().vec();
  EXPECT_EQ(shapes["first.weight"], (std::vector<int64_t>{4, 6, 1, 1}));
  EXPECT_EQ(shapes["second.weight"], (std::vector<int64_t>{4, 4, 3, 3}));
  EXPECT_EQ(shapes["third.weight"], (std::vector<int64_t>{8, 4, 1, 1}));
  EXPECT_EQ(shapes.size(), 9u);
  EXPECT_EQ(term->Buffers().size(), 6u);
  const at::Tensor mean = term->Buffers()[0].second.clone();
  EXPECT_TRUE(term->Compute(step).ok());
  EXPECT_FALSE(mean.equal(term->Buffers()[0].second));  // running statistics move
}

TEST(SimKdTest, AsksForItsTaps) {
  EXPECT_EQ(Make("")()->needs().student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(Make("")()->needs().targets.taps, std::vector<std::string>{"t"});
  EXPECT_TRUE(Make("")()->needs().teacher());
}

TEST(SimKdErrorTest, NamesTapsAndShapesOfOtherBatches) {
  const Step step = TapStep(StudentMap(), TeacherMap(8, 8).slice(0, 0, 3));
  for (const absl::Status& status : {Make("")()->Prepare(step, 10), Make("")()->Compute(step).status()}) {
    ExpectFault(status, absl::StatusCode::kInvalidArgument, "\"t\" [3,8,8,8]");
  }
}

TEST(SimKdErrorTest, NamesAMissingTap) {
  ExpectFault(Make("")()->Compute(TapStep(StudentMap(), {})).status(), absl::StatusCode::kInvalidArgument,
              "\"t\" nothing");
}

TEST(SimKdErrorTest, RefusesAFactorThatLeavesNoChannel) {
  ExpectFault(Make(" factor: 9")()->Prepare(TapStep(StudentMap(), TeacherMap(8, 8)), 10),
              absl::StatusCode::kInvalidArgument, "factor");
}

}  // namespace
}  // namespace retort::kd
