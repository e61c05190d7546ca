#include "retort/nn/optim/optimizer.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones_like.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "torch/optim/adam.h"
#include "torch/optim/adamw.h"
#include "torch/optim/sgd.h"

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
template <typename Adam>
double ExpectedAdam(const Adam& config, bool decoupled, const std::vector<double>& factors, double w, double i) {
  double m = 0, v = 0;
  for (int t = 1; t <= static_cast<int>(factors.size()); ++t) {
    const double g = GradientAt(t, i) + (decoupled ? 0 : config.weight_decay() * w);
    if (decoupled) w -= config.learning_rate() * factors[t - 1] * config.weight_decay() * w;
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
  if (config.has_adam()) return ExpectedAdam(config.adam(), /*decoupled=*/false, factors, w, i);
  if (config.has_adamw()) return ExpectedAdam(config.adamw(), /*decoupled=*/true, factors, w, i);
  return ExpectedSgd(config.sgd(), factors, w, i);
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
    const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(Config(), {{"w", parameter}}).value();
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
  const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(Config(), {{"unused", unused}, {"used", used}}).value();
  StepWith(*optimizer, used, 1, 1);
  EXPECT_TRUE(at::equal(unused.detach(), Wave(1)));
  EXPECT_FALSE(at::equal(used.detach(), Wave(0)));
}

// Three steps, then a new optimiser that takes over the state, equal five steps in one go, to the bit.
TEST_P(OptimizerTest, GoesOnFromItsState) {
  const at::Tensor whole = Wave(0).set_requires_grad(true);
  const std::unique_ptr<Optimizer> uninterrupted = BuildOptimizer(Config(), {{"w", whole}}).value();
  for (int t = 1; t <= 5; ++t) StepWith(*uninterrupted, whole, t, 1);

  const at::Tensor parameter = Wave(0).set_requires_grad(true);
  const std::unique_ptr<Optimizer> first = BuildOptimizer(Config(), {{"w", parameter}}).value();
  for (int t = 1; t <= 3; ++t) StepWith(*first, parameter, t, 1);
  const std::unique_ptr<Optimizer> second = BuildOptimizer(Config(), {{"w", parameter}}).value();
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

std::unique_ptr<torch::optim::Optimizer> Published(const config::Optimizer& config, const at::Tensor& parameter) {
  const std::vector<at::Tensor> parameters = {parameter};
  const auto adam = [](const auto& from, auto options) {
    return options.betas({from.beta1(), from.beta2()}).eps(from.epsilon()).weight_decay(from.weight_decay());
  };
  if (config.has_adam()) {
    return std::make_unique<torch::optim::Adam>(
        parameters, adam(config.adam(), torch::optim::AdamOptions(config.adam().learning_rate())));
  }
  if (config.has_adamw()) {
    return std::make_unique<torch::optim::AdamW>(
        parameters, adam(config.adamw(), torch::optim::AdamWOptions(config.adamw().learning_rate())));
  }
  const config::Sgd& sgd = config.sgd();
  return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(sgd.learning_rate())
                                                             .momentum(sgd.momentum())
                                                             .nesterov(sgd.nesterov())
                                                             .weight_decay(sgd.weight_decay()));
}

TEST_P(OptimizerTest, GoesWithLibTorchsStepByStep) {
  const at::Tensor parameter = Wave(0.5).set_requires_grad(true), peers = Wave(0.5).set_requires_grad(true);
  const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(Config(), {{"w", parameter}}).value();
  const std::unique_ptr<torch::optim::Optimizer> peer = Published(Config(), peers);
  for (int t = 1; t <= 50; ++t) {
    StepWith(*optimizer, parameter, t, /*factor=*/1);
    peers.mutable_grad() = GradientTensor(t);
    peer->step();
    ASSERT_LT((parameter - peers).abs().max().item<double>(), 1e-13) << "step " << t;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OptimizerTest,
    ::testing::Values(
        Case{"adam", "adam {}"},
        Case{"adam_tuned", "adam { learning_rate: 0.01 beta1: 0.8 beta2: 0.9 epsilon: 1e-3 weight_decay: 0.1 }"},
        Case{"adamw", "adamw {}"},
        Case{"adamw_tuned", "adamw { learning_rate: 0.01 beta1: 0.8 beta2: 0.9 epsilon: 1e-3 weight_decay: 0.3 }"},
        Case{"sgd", "sgd {}"}, Case{"plain_sgd", "sgd { momentum: 0 weight_decay: 0.1 }"},
        Case{"momentum", "sgd { momentum: 0.9 weight_decay: 5e-4 }"},
        Case{"nesterov", "sgd { learning_rate: 0.05 momentum: 0.8 nesterov: true weight_decay: 0.01 }"}),
    [](const auto& test) { return test.param.name; });

// One step of plain SGD with a gradient of ones moves a weight w by -rate * (1 + decay * w).
class GroupTest : public ::testing::Test {
 protected:
  absl::Status Step(const std::string& config) {
    auto optimizer = BuildOptimizer(Parse<config::Optimizer>(config + " sgd { learning_rate: 0.5 momentum: 0 "
                                                                      "weight_decay: 0.25 }"),
                                    all_);
    if (!optimizer.ok()) return optimizer.status();
    for (const auto& [name, parameter] : all_) parameter.mutable_grad() = at::ones_like(parameter);
    (*optimizer)->Step(/*factor=*/1);
    return absl::OkStatus();
  }

  static at::Tensor Weights(at::IntArrayRef shape) { return at::full(shape, 2, at::kDouble).set_requires_grad(true); }

  at::Tensor body_ = Weights({2, 2}), bias_ = Weights({2}), head_ = Weights({3, 2});
  std::vector<NamedTensor> all_ = {{"body.weight", body_}, {"body.bias", bias_}, {"head.weight", head_}};
};

TEST_F(GroupTest, WithoutGroupsAllAreAlike) {
  ASSERT_EQ(Step(""), absl::OkStatus());
  for (const auto& [name, parameter] : all_) EXPECT_TRUE(parameter.eq(2 - 0.5 * 1.5).all().item<bool>()) << name;
}

TEST_F(GroupTest, BiasesAndNormsNeedNotDecay) {
  ASSERT_EQ(Step("decay_norms_and_biases: false"), absl::OkStatus());
  EXPECT_TRUE(body_.eq(2 - 0.5 * 1.5).all().item<bool>());
  EXPECT_TRUE(bias_.eq(2 - 0.5).all().item<bool>());
}

TEST_F(GroupTest, TheFirstGroupThatNamesAParameterHolds) {
  ASSERT_EQ(Step("group { name: 'head.*' learning_rate_factor: 10 } "
                 "group { name: '*.weight' weight_decay_factor: 2 learning_rate_factor: 0.1 }"),
            absl::OkStatus());
  EXPECT_NEAR(head_[0][0].item<double>(), 2 - 5 * 1.5, 1e-12);
  EXPECT_NEAR(body_[0][0].item<double>(), 2 - 0.05 * 2, 1e-12);
  EXPECT_NEAR(bias_[0].item<double>(), 2 - 0.5 * 1.5, 1e-12);
}

TEST_F(GroupTest, FrozenParametersNeedNoGradientAndHaveNoState) {
  const auto config = Parse<config::Optimizer>("adam {} group { name: 'body.*' frozen: true }");
  const std::unique_ptr<Optimizer> optimizer = BuildOptimizer(config, all_).value();
  EXPECT_FALSE(body_.requires_grad());
  EXPECT_FALSE(bias_.requires_grad());
  EXPECT_TRUE(head_.requires_grad());
  for (const auto& [name, tensor] : optimizer->State()) EXPECT_EQ(name.rfind("head.weight.", 0), 0u) << name;
}

TEST_F(GroupTest, NamesWhatFitsNoParameterAndWhatCouldFit) {
  const absl::Status status = Step("group { name: 'heads.*' }");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("\"heads.*\""));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("head.weight"));
}

TEST_F(GroupTest, RefusesToFreezeAll) {
  EXPECT_THAT(std::string(Step("group { name: '*' frozen: true }").message()),
              ::testing::HasSubstr("every parameter is frozen"));
}

// The gradient of ones has 4 + 2 + 6 elements.
TEST_F(GroupTest, ClipsByTheNormOfAllParametersTogether) {
  ASSERT_EQ(Step("clip_norm: 3 decay_norms_and_biases: false group { name: '*' weight_decay_factor: 0 }"),
            absl::OkStatus());
  for (const auto& [name, parameter] : all_) {
    EXPECT_NEAR(parameter.flatten()[0].item<double>(), 2 - 0.5 * 3 / std::sqrt(12), 1e-6) << name;
  }
}

TEST_F(GroupTest, DoesNotClipAShortGradient) {
  ASSERT_EQ(Step("clip_norm: 4 group { name: '*' weight_decay_factor: 0 }"), absl::OkStatus());
  for (const auto& [name, parameter] : all_) EXPECT_EQ(parameter.flatten()[0].item<double>(), 1.5) << name;
}

TEST(ZeroGradTest, DropsGradients) {
  const at::Tensor parameter = Wave(0).set_requires_grad(true);
  parameter.mutable_grad() = Wave(1);
  ZeroGrad({{"w", parameter}});
  EXPECT_FALSE(parameter.grad().defined());
}

}  // namespace
}  // namespace retort::nn
