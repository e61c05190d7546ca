// Gradients against Halide's automatic differentiation: each loss of softmax_loss.h stated forward, in float64.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "Halide.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "retort/ops/losses/softmax_loss.h"

namespace retort::ops {
namespace {

using ::Halide::Buffer;
using ::Halide::cast;
using ::Halide::Expr;
using ::Halide::Func;
using ::Halide::RDom;
using ::Halide::Var;

constexpr DistillParameters kParameters = {
    .label_smoothing = 0.1f, .temperature = 4, .hard_weight = 0.3f, .soft_weight = 0.7f};

// [B,K].
class SoftmaxLossAutodiffTest : public ::testing::TestWithParam<std::array<int, 2>> {
 protected:
  SoftmaxLossAutodiffTest() {
    std::mt19937 random(37);
    std::normal_distribution<float> number(0, 3);
    std::uniform_real_distribution<float> share(0, 1);
    logits_.for_each_value([&](float& value) { value = number(random); });
    teacher_.for_each_value([&](float& value) { value = number(random); });
    targets_.for_each_value([&](float& value) { value = share(random) / static_cast<float>(classes_); });
    labels_.for_each_value([&](int64_t& value) { value = static_cast<int64_t>(random() % uint32_t(classes_)); });
    z_(c, b) = cast<double>(logits_(c, b));
    t_(c, b) = cast<double>(teacher_(c, b));
    is_label_(c, b) = cast<double>(c == labels_(b));
  }

  // log softmax(z / T).
  Func LogSoftmax(const Func& z, double temperature) const {
    Func log_p;
    log_p(c, b) = z(c, b) / Expr(temperature) - log(sum(exp(z(k, b) / Expr(temperature))));
    return log_p;
  }

  // [B]: -sum_c target log p.
  Func CrossEntropyRows(const Func& target) const {
    Func rows, log_p = LogSoftmax(z_, 1);
    rows(b) = -sum(target(k, b) * log_p(k, b));
    return rows;
  }

  Func SmoothLabels(double smoothing) const {
    Func target;
    target(c, b) = Expr(1 - smoothing) * is_label_(c, b) + Expr(smoothing / classes_);
    return target;
  }

  // [B]: T^2 sum_c p log(p / q).
  Func KlRows(const Func& teacher, double temperature) const {
    Func rows, log_p = LogSoftmax(teacher, temperature), log_q = LogSoftmax(z_, temperature);
    rows(b) = Expr(temperature * temperature) * sum(exp(log_p(k, b)) * (log_p(k, b) - log_q(k, b)));
    return rows;
  }

  // [B]: as kParameters say.
  Func HardAndSoftRows(const Func& teacher) const {
    const Func hard = CrossEntropyRows(SmoothLabels(kParameters.label_smoothing));
    const Func soft = KlRows(teacher, kParameters.temperature);
    Func rows;
    rows(b) = Expr(double{kParameters.hard_weight}) * hard(b) + Expr(double{kParameters.soft_weight}) * soft(b);
    return rows;
  }

  // [B]: the log of what all classes but the label have together.
  Func LogRest(const Func& log_p) const {
    Func rest;
    rest(b) = log(sum((Expr(1.0) - is_label_(k, b)) * exp(log_p(k, b))));
    return rest;
  }

  // [B]: alpha TCKD + beta NCKD.
  Func DkdRows(double temperature, double alpha, double beta) const {
    const Func log_p = LogSoftmax(t_, temperature), log_q = LogSoftmax(z_, temperature);
    const Func rest_p = LogRest(log_p), rest_q = LogRest(log_q);
    Func label_p, label_q, rows;
    label_p(b) = sum(is_label_(k, b) * log_p(k, b));
    label_q(b) = sum(is_label_(k, b) * log_q(k, b));
    const Expr of_target = exp(label_p(b)) * (label_p(b) - label_q(b)) + exp(rest_p(b)) * (rest_p(b) - rest_q(b));
    const Expr hat_p = log_p(k, b) - rest_p(b), hat_q = log_q(k, b) - rest_q(b);
    const Expr of_others = sum((Expr(1.0) - is_label_(k, b)) * exp(hat_p) * (hat_p - hat_q));
    rows(b) = Expr(temperature * temperature) * (Expr(alpha) * of_target + Expr(beta) * of_others);
    return rows;
  }

  // The gradient that `status`'s call has written is that of the mean of `rows`. float64 is exact beside the op's f32,
  // which softmax_loss.h promises within 1e-6 of the largest possible element.
  void ExpectGradientOf(const Func& rows, double largest, const absl::Status& status) {
    ASSERT_EQ(status, absl::OkStatus());
    const RDom r(0, batch_);
    Func mean;
    mean() = sum(rows(r)) / Expr(double{1} * batch_);
    const Func adjoint = propagate_adjoints(mean)(z_);
    for (auto& [name, function] : Halide::Internal::find_transitive_calls(adjoint.function())) {
      Func(function).compute_root();
    }
    Func result;
    result(c, b) = adjoint(c, b);
    const Buffer<double> expected = result.realize({classes_, batch_});
    double most = 0;
    for (int y = 0; y < batch_; ++y) {
      for (int x = 0; x < classes_; ++x) {
        EXPECT_NEAR(gradient_(x, y), expected(x, y), 1e-6 * largest / batch_) << "class " << x << " of row " << y;
        most = std::max(most, std::abs(expected(x, y)));
      }
    }
    EXPECT_GT(most, 1e-2 * largest / batch_) << "too small to be compared";
  }

  LossOutputs Outputs(int parts) {
    rows_ = Buffer<float>(parts, batch_);
    loss_ = Buffer<float>(parts == 1 ? 1 : 3);
    gradient_.fill(-12345.0f);
    return {gradient_.raw_buffer(), rows_.raw_buffer(), loss_.raw_buffer()};
  }

  const int batch_ = GetParam()[0], classes_ = GetParam()[1];
  Buffer<float> logits_ = Buffer<float>(classes_, batch_), teacher_ = Buffer<float>(classes_, batch_),
                targets_ = Buffer<float>(classes_, batch_), gradient_ = Buffer<float>(classes_, batch_), rows_, loss_;
  Buffer<int64_t> labels_ = Buffer<int64_t>(batch_);
  Var c, b;
  RDom k = RDom(0, classes_);
  Func z_, t_, is_label_;
};

TEST_P(SoftmaxLossAutodiffTest, CrossEntropy) {
  for (const float smoothing : {0.0f, 0.1f}) {
    ExpectGradientOf(CrossEntropyRows(SmoothLabels(smoothing)), 1,
                     CrossEntropy(logits_.raw_buffer(), labels_.raw_buffer(), smoothing, Outputs(1)));
  }
}

TEST_P(SoftmaxLossAutodiffTest, SoftCrossEntropy) {
  Func targets;
  targets(c, b) = cast<double>(targets_(c, b));
  ExpectGradientOf(CrossEntropyRows(targets), 1,
                   SoftCrossEntropy(logits_.raw_buffer(), targets_.raw_buffer(), Outputs(1)));
}

TEST_P(SoftmaxLossAutodiffTest, DistillKl) {
  for (const float temperature : {1.0f, 2.5f}) {
    ExpectGradientOf(KlRows(t_, temperature), temperature,
                     DistillKl(logits_.raw_buffer(), teacher_.raw_buffer(), temperature, Outputs(1)));
  }
}

TEST_P(SoftmaxLossAutodiffTest, CrossEntropyKl) {
  ExpectGradientOf(
      HardAndSoftRows(t_), kParameters.temperature * kParameters.soft_weight,
      CrossEntropyKl(logits_.raw_buffer(), labels_.raw_buffer(), teacher_.raw_buffer(), kParameters, Outputs(2)));
}

TEST_P(SoftmaxLossAutodiffTest, CrossEntropyTopK) {
  // Of each row the two greatest.
  Buffer<float> values(2, batch_), log_sum_exp(batch_);
  Buffer<int32_t> indices(2, batch_);
  for (int y = 0; y < batch_; ++y) {
    std::vector<int32_t> order(static_cast<size_t>(classes_));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t i, int32_t j) { return teacher_(i, y) > teacher_(j, y); });
    double all = 0;
    for (const int32_t x : order) all += std::exp(double{teacher_(x, y)});
    log_sum_exp(y) = static_cast<float>(std::log(all));
    for (int j = 0; j < 2; ++j) {
      indices(j, y) = order[static_cast<size_t>(j)];
      values(j, y) = teacher_(indices(j, y), y);
    }
  }
  Func left, unpacked;
  const RDom stored(0, 2);
  const Expr whole = cast<double>(log_sum_exp(b));
  left(b) = Expr(1.0) - sum(exp(cast<double>(values(stored, b)) - whole));
  unpacked(c, b) = select(c == indices(0, b) || c == indices(1, b), t_(c, b),
                          whole + log(left(b) / Expr(double{1} * (classes_ - 2))));
  ExpectGradientOf(
      HardAndSoftRows(unpacked), kParameters.temperature * kParameters.soft_weight,
      CrossEntropyTopK(logits_.raw_buffer(), labels_.raw_buffer(),
                       {values.raw_buffer(), indices.raw_buffer(), log_sum_exp.raw_buffer()}, kParameters, Outputs(2)));
}

TEST_P(SoftmaxLossAutodiffTest, Dkd) {
  constexpr float kTemperature = 2.5f, kAlpha = 0.6f, kBeta = 1.7f;
  ExpectGradientOf(
      DkdRows(kTemperature, kAlpha, kBeta), kTemperature * kBeta,
      Dkd(logits_.raw_buffer(), teacher_.raw_buffer(), labels_.raw_buffer(), kTemperature, kAlpha, kBeta, Outputs(2)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, SoftmaxLossAutodiffTest, ::testing::Values(std::array{3, 5}, std::array{4, 7}),
                         [](const auto& instance) {
                           return absl::StrCat("B", instance.param[0], "K", instance.param[1]);
                         });

}  // namespace
}  // namespace retort::ops
