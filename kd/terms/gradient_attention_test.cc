#include "retort/kd/terms/gradient_attention.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/mm.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tanh.h"
#include "gtest/gtest.h"

#include "retort/kd/terms/fixtures.h"

namespace retort::kd {
namespace {

MakeTerm Make(const std::string& text) {
  return [=] { return MakeGradientAttention(Parse<config::GradientAttention>(text)); };
}

constexpr char kPair[] = "pair { student: 's' teacher: 't' }";

// Logits that read a map [B,C,H,W]: z[b,k] = sum_chw tanh(x[b,c,h,w]) sin(0.7 k + 0.1 (flat index of c,h,w)).
at::Tensor Head(const at::Tensor& map) {
  const at::Tensor flat = map.flatten(1);
  const at::Tensor weight =
      (at::arange(5, at::kDouble).unsqueeze(1) * 0.7 + at::arange(flat.size(1), at::kDouble).unsqueeze(0) * 0.1)
          .sin()
          .to(map.scalar_type());
  return at::mm(flat.tanh(), weight.t()) * 0.3;
}

// The teacher's gradient is made up.
TermOf OfMap(const std::string& text, const at::Tensor& teacher_gradient) {
  return [=](const at::Tensor& map) {
    const at::AutoGradMode with_gradients(true);  // central differences turn them off
    Step step;
    step.student.taps["s"] = map.requires_grad() ? map * 1 : map.clone().set_requires_grad(true);
    step.student.logits = Head(step.student.taps["s"]);
    step.labels = Labels().slice(0, 0, map.size(0));
    step.teacher.gradients.maps["t"] = teacher_gradient.abs().mean(1).to(map.scalar_type());
    return Make(text)()->Compute(step).value();
  };
}

// The definition, in plain loops: dCE/dx = 0.3 (1 - tanh^2 x) sum_k (p_k - y_k) weight_k / B; 8x8 maps, pooled to 4x4.
double Expected(const at::Tensor& map, const at::Tensor& teacher_gradient) {
  const int64_t images = map.size(0), channels = map.size(1), side = 8, to = teacher_gradient.size(2);
  const double group = static_cast<double>(side / to);
  const at::Tensor p = at::softmax(Head(map), 1);
  std::vector<double> student(images * to * to), teacher(images * to * to);
  for (int64_t b = 0; b < images; ++b) {
    for (int64_t i = 0; i < channels * side * side; ++i) {
      const int64_t c = i / (side * side), h = i / side % side, w = i % side;
      const double x = std::tanh(map[b][c][h][w].item<double>());
      double gradient = 0;
      for (int64_t k = 0; k < 5; ++k) {
        const double error = p[b][k].item<double>() - (Labels()[b].item<int64_t>() == k ? 1 : 0);
        gradient += error * std::sin(0.7 * static_cast<double>(k) + 0.1 * static_cast<double>(i));
      }
      gradient *= 0.3 * (1 - x * x) / static_cast<double>(images);
      student[(b * to + h * to / side) * to + w * to / side] +=
          std::abs(gradient) / static_cast<double>(channels) / (group * group);
    }
    for (int64_t i = 0; i < to * to; ++i) {
      for (int64_t c = 0; c < teacher_gradient.size(1); ++c) {
        teacher[b * to * to + i] += std::abs(teacher_gradient[b][c][i / to][i % to].item<double>()) /
                                    static_cast<double>(teacher_gradient.size(1) * images);
      }
    }
  }
  double loss = 0;
  for (size_t i = 0; i < student.size(); ++i) {
    loss += (student[i] - teacher[i]) * (student[i] - teacher[i]) / static_cast<double>(student.size());
  }
  return loss;
}

TEST(GradientAttentionTest, EqualsItsDefinition) {
  const at::Tensor map = StudentMap().slice(1, 0, 2);
  for (const int64_t side : {8, 4}) {
    const at::Tensor teacher = TeacherMap(side, side, 3);
    const double expected = Expected(map, teacher);
    EXPECT_NEAR(OfMap(kPair, teacher)(map).item<double>(), expected, 1e-12 * expected);
    EXPECT_NEAR(OfMap(kPair, teacher)(map.to(at::kFloat)).item<double>(), expected, 1e-5 * expected);
  }
}

TEST(GradientAttentionTest, GradientIsThatOfCentralDifferences) {
  ExpectGradient(OfMap(kPair, TeacherMap(4, 4).slice(0, 0, 2)), StudentMap().slice(0, 0, 2).slice(1, 0, 2));
}

TEST(GradientAttentionTest, HasNoGradientWithoutTheSecondOrder) {
  const std::string text = std::string(kPair) + " second_order: false";
  const at::Tensor map = StudentMap().set_requires_grad(true);
  const at::Tensor value = OfMap(text, TeacherMap(4, 4))(map);
  EXPECT_FALSE(value.requires_grad());
  EXPECT_DOUBLE_EQ(value.item<double>(), OfMap(kPair, TeacherMap(4, 4))(map).item<double>());
}

TEST(GradientAttentionTest, AsksForTheTeachersGradientByTheTap) {
  const Needs needs = Make(kPair)()->needs();
  EXPECT_EQ(needs.student.taps, std::vector<std::string>{"s"});
  EXPECT_EQ(needs.targets.gradients.maps, std::vector<std::string>{"t"});
  EXPECT_TRUE(needs.targets.taps.empty());
}

TEST(GradientAttentionErrorTest, RefusesATapThatLogitsDoNotReadAndOneThatIsMissing) {
  Step step;
  step.student.taps["s"] = StudentMap().set_requires_grad(true);
  step.student.logits = StudentLogits().set_requires_grad(true);
  step.labels = Labels();
  step.teacher.gradients.maps["t"] = TeacherMap(8, 8).select(1, 0);
  ExpectFault(Make(kPair)()->Compute(step).status(), absl::StatusCode::kInvalidArgument,
              "do not depend on its tap \"s\"");
  step.teacher.gradients.maps.clear();
  step.student.logits = Head(step.student.taps["s"]);
  ExpectFault(Make(kPair)()->Compute(step).status(), absl::StatusCode::kInvalidArgument, "\"t\" nothing");
}

}  // namespace
}  // namespace retort::kd
