#include "retort/nn/optimizer.h"

#include <cmath>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::nn {
namespace {

template <typename Message>
Message Parse(const std::string& text) {
  Message config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

// [2,3,2,2], element i of the row-major order is sin(i + phase).
at::Tensor Wave(double phase) { return (at::arange(24, at::kDouble) + phase).sin().reshape({2, 3, 2, 2}); }

// A made-up gradient that depends on the step.
double GradientAt(int step, double i) { return std::cos(0.3 * i + step); }

// Arithmetic of one element over several steps, as the papers and PyTorch's documentation define it.
double ExpectedAdam(const config::Adam& config, const std::vector<double>& factors, double w, double i) {
  double m = 0, v = 0;
  for (int t = 1; t <= static_cast<int>(factors.size()); ++t) {
    const double g = GradientAt(t, i) + config.weight_decay() * w;
    m = config.beta1() * m + (1 - config.beta1()) * g;
    v = config.beta2() * v + (1 - config.beta2()) * g * g;
    const double m_hat = m / (1 - std::pow(config.beta1(), t));
    const double v_hat = v / (1 - std::pow(config.beta2(), t));
    w -= config.learning_rate() * factors[t - 1] * m_hat / (std::sqrt(v_hat) + config.epsilon());
  }
  return w;
}

double ExpectedSgd(const config::Sgd& config, const std::vector<double>& factors, double w, double i) {
  double v = 0;
  for (int t = 1; t <= static_cast<int>(factors.size()); ++t) {
    const double g = GradientAt(t, i) + config.weight_decay() * w;
    v = config.momentum() * v + g;
    w -= config.learning_rate() * factors[t - 1] * (config.nesterov() ? g + config.momentum() * v : v);
  }
  return w;
}

double Expected(const config::Optimizer& config, const std::vector<double>& factors, double w, double i) {
  return config.has_adam() ? ExpectedAdam(config.adam(), factors, w, i) : ExpectedSgd(config.sgd(), factors, w, i);
}

struct Case {
  std::string name;
  std::string config;
};

class OptimizerTest : public ::testing::TestWithParam<Case> {
 protected:
  static config::Optimizer Config() { return Parse<config::Optimizer>(GetParam().config); }
};

at::Tensor GradientTensor(int step) { return (at::arange(24, at::kDouble) * 0.3 + step).cos().reshape({2, 3, 2, 2}); }

void StepWith(Optimizer& optimizer, const at::Tensor& parameter, int step, double factor) {
  // Always row-major, whatever the parameter's layout.
  parameter.mutable_grad() = GradientTensor(step);
  optimizer.Step(factor);
}

TEST_P(OptimizerTest, FollowsTheDefinitionForFiveSteps) {
  const std::vector<double> factors = {1, 0.5, 1, 0.25, 2};
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const at::Tensor parameter = Wave(0.5).contiguous(format).set_requires_grad(true);
    const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(Config(), {{"w", parameter}});
    for (int t = 1; t <= 5; ++t) StepWith(*optimizer, parameter, t, factors[t - 1]);
    const at::Tensor flat = parameter.detach().flatten();
    for (int i = 0; i < 24; ++i) {
      EXPECT_NEAR(flat[i].item<double>(), Expected(Config(), factors, std::sin(i + 0.5), i), 1e-6)
          << "element " << i << ", " << format;
    }
  }
}

TEST_P(OptimizerTest, LeavesAParameterWithoutGradientAlone) {
  const at::Tensor used = Wave(0).set_requires_grad(true);
  const at::Tensor unused = Wave(1).set_requires_grad(true);
  const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(Config(), {{"unused", unused}, {"used", used}});
  StepWith(*optimizer, used, 1, 1);
  EXPECT_TRUE(at::equal(unused.detach(), Wave(1)));
  EXPECT_FALSE(at::equal(used.detach(), Wave(0)));
}

// Three steps, then a new optimiser that takes over the state, equal five steps in one go, to the bit.
TEST_P(OptimizerTest, GoesOnFromItsState) {
  const at::Tensor whole = Wave(0).set_requires_grad(true);
  const std::unique_ptr<Optimizer> uninterrupted = BuildOptimizer(Config(), {{"w", whole}});
  for (int t = 1; t <= 5; ++t) StepWith(*uninterrupted, whole, t, 1);

  const at::Tensor parameter = Wave(0).set_requires_grad(true);
  const std::unique_ptr<Optimizer> first = BuildOptimizer(Config(), {{"w", parameter}});
  for (int t = 1; t <= 3; ++t) StepWith(*first, parameter, t, 1);
  const std::unique_ptr<Optimizer> second = BuildOptimizer(Config(), {{"w", parameter}});
  const std::vector<NamedTensor> from = first->State(), to = second->State();
  ASSERT_EQ(from.size(), to.size());
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].first, to[i].first);
    EXPECT_EQ(from[i].first.substr(0, 2), "w.");
    to[i].second.copy_(from[i].second);
  }
  for (int t = 4; t <= 5; ++t) StepWith(*second, parameter, t, 1);
  EXPECT_TRUE(at::equal(parameter.detach(), whole.detach()));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OptimizerTest,
    ::testing::Values(Case{"adam", "adam {}"},
                      Case{"adam_tuned",
                           "adam { learning_rate: 0.01 beta1: 0.8 beta2: 0.9 epsilon: 1e-3 weight_decay: 0.1 }"},
                      Case{"sgd", "sgd {}"}, Case{"momentum", "sgd { momentum: 0.9 weight_decay: 5e-4 }"},
                      Case{"nesterov", "sgd { learning_rate: 0.05 momentum: 0.8 nesterov: true weight_decay: 0.01 }"}),
    [](const auto& test) { return test.param.name; });

TEST(ZeroGradTest, DropsGradients) {
  const at::Tensor parameter = Wave(0).set_requires_grad(true);
  parameter.mutable_grad() = Wave(1);
  ZeroGrad({{"w", parameter}});
  EXPECT_FALSE(parameter.grad().defined());
}

struct ScheduleCase {
  std::string name;
  std::string config;
  int64_t epoch;
  int64_t epochs;
  double learning_rate;  // for a base rate of 5e-4
};

class LearningRateFactorTest : public ::testing::TestWithParam<ScheduleCase> {};

TEST_P(LearningRateFactorTest, GivesTheExpectedRate) {
  const auto schedule = Parse<config::Schedule>(GetParam().config);
  EXPECT_NEAR(5e-4 * LearningRateFactor(schedule, GetParam().epoch, GetParam().epochs), GetParam().learning_rate, 5e-9);
}

// Those named multi_view are the learning rates of anguskk109/VIT-DISTILL, distill_train.py and scratch_train.py.
INSTANTIATE_TEST_SUITE_P(
    Epochs, LearningRateFactorTest,
    ::testing::Values(ScheduleCase{"default_is_constant", "", 7, 10, 5e-4},
                      ScheduleCase{"constant_after_warmup", "warmup_epochs: 4 warmup_start: 0 constant {}", 1, 10,
                                   1.25e-4},
                      ScheduleCase{"multi_view_500_first", "warmup_epochs: 10 cosine {}", 0, 500, 5.0e-5},
                      ScheduleCase{"multi_view_500_warm", "warmup_epochs: 10 cosine {}", 10, 500, 5.0e-4},
                      ScheduleCase{"multi_view_500_early", "warmup_epochs: 10 cosine {}", 100, 500, 4.5952e-4},
                      ScheduleCase{"multi_view_500_late", "warmup_epochs: 10 cosine {}", 399, 500, 5.061e-5},
                      ScheduleCase{"multi_view_400_half", "warmup_epochs: 10 cosine {}", 200, 400, 2.6007e-4},
                      ScheduleCase{"multi_view_400_late", "warmup_epochs: 10 cosine {}", 314, 400, 5.763e-5},
                      ScheduleCase{"cosine_to_a_fraction", "cosine { final_fraction: 0.2 }", 5, 10, 3e-4}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::nn
