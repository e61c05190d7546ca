#include "retort/nn/optimizer.h"

#include <cmath>
#include <string>
#include <utility>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/_fused_adam.h"
#include "ATen/ops/_fused_sgd.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "c10/util/Exception.h"

namespace retort::nn {
namespace {

// The fused kernels walk parameter, gradient and moments as flat memory, so all of them must have the same strides.
at::Tensor GradientLaidOutAs(const at::Tensor& parameter) {
  const at::Tensor& gradient = parameter.grad();
  if (gradient.strides() == parameter.strides()) return gradient;
  return at::empty_like(parameter).copy_(gradient);
}

// A parameter that took no part in the loss has no gradient and is left alone, as in PyTorch.
std::vector<size_t> WithGradient(const std::vector<NamedTensor>& parameters) {
  std::vector<size_t> indices;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].second.grad().defined()) indices.push_back(i);
  }
  return indices;
}

// One state tensor a parameter, zero, with the parameter's strides.
std::vector<at::Tensor> Moments(const std::vector<NamedTensor>& parameters) {
  std::vector<at::Tensor> moments;
  for (const auto& [name, parameter] : parameters) moments.push_back(at::zeros_like(parameter));
  return moments;
}

class AdamOptimizer final : public Optimizer {
 public:
  AdamOptimizer(const config::Adam& config, std::vector<NamedTensor> parameters)
      : config_(config),
        parameters_(std::move(parameters)),
        first_(Moments(parameters_)),
        second_(Moments(parameters_)) {
    for (size_t i = 0; i < parameters_.size(); ++i) steps_.push_back(at::zeros({}));
  }

  void Step(double factor) override {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> parameters, gradients, first, second, steps;
    for (const size_t i : WithGradient(parameters_)) {
      parameters.push_back(parameters_[i].second);
      gradients.push_back(GradientLaidOutAs(parameters_[i].second));
      first.push_back(first_[i]);
      second.push_back(second_[i]);
      steps.push_back(steps_[i].add_(1));
    }
    if (parameters.empty()) return;
    at::_fused_adam_(parameters, gradients, first, second, /*max_exp_avg_sqs=*/{}, steps,
                     config_.learning_rate() * factor, config_.beta1(), config_.beta2(), config_.weight_decay(),
                     config_.epsilon(), /*amsgrad=*/false, /*maximize=*/false);
  }

  std::vector<NamedTensor> State() const override {
    std::vector<NamedTensor> state;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const std::string& name = parameters_[i].first;
      state.emplace_back(name + ".exp_avg", first_[i]);
      state.emplace_back(name + ".exp_avg_sq", second_[i]);
      state.emplace_back(name + ".step", steps_[i]);
    }
    return state;
  }

 private:
  const config::Adam config_;
  const std::vector<NamedTensor> parameters_;
  const std::vector<at::Tensor> first_;   // running mean of g
  const std::vector<at::Tensor> second_;  // running mean of g^2
  std::vector<at::Tensor> steps_;         // f32 [], steps taken by each parameter
};

class SgdOptimizer final : public Optimizer {
 public:
  SgdOptimizer(const config::Sgd& config, std::vector<NamedTensor> parameters)
      : config_(config), parameters_(std::move(parameters)), momentum_(Moments(parameters_)) {}

  void Step(double factor) override {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> parameters, gradients, momentum;
    for (const size_t i : WithGradient(parameters_)) {
      parameters.push_back(parameters_[i].second);
      gradients.push_back(GradientLaidOutAs(parameters_[i].second));
      momentum.push_back(momentum_[i]);
    }
    if (parameters.empty()) return;
    // PyTorch starts from v = g. With no dampening that is what v = momentum * 0 + g gives, so there is no first step.
    at::_fused_sgd_(parameters, gradients, momentum, config_.weight_decay(), config_.momentum(),
                    config_.learning_rate() * factor, /*dampening=*/0, config_.nesterov(), /*maximize=*/false,
                    /*is_first_step=*/false);
  }

  std::vector<NamedTensor> State() const override {
    std::vector<NamedTensor> state;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      state.emplace_back(parameters_[i].first + ".momentum_buffer", momentum_[i]);
    }
    return state;
  }

 private:
  const config::Sgd config_;
  const std::vector<NamedTensor> parameters_;
  const std::vector<at::Tensor> momentum_;  // v
};

}  // namespace

std::unique_ptr<Optimizer> BuildOptimizer(const config::Optimizer& config, std::vector<NamedTensor> parameters) {
  switch (config.optimizer_case()) {
    case config::Optimizer::kAdam:
      return std::make_unique<AdamOptimizer>(config.adam(), std::move(parameters));
    case config::Optimizer::kSgd:
      return std::make_unique<SgdOptimizer>(config.sgd(), std::move(parameters));
    case config::Optimizer::OPTIMIZER_NOT_SET:
      break;
  }
  TORCH_CHECK(false, "an optimizer without a choice passed validation");
}

void ZeroGrad(const std::vector<NamedTensor>& parameters) {
  for (const auto& [name, parameter] : parameters) parameter.mutable_grad().reset();
}

double LearningRateFactor(const config::Schedule& schedule, int64_t epoch, int64_t epochs) {
  const int64_t warmup = schedule.warmup_epochs();
  if (epoch < warmup) {
    const double start = schedule.warmup_start();
    return start + (1 - start) * static_cast<double>(epoch) / static_cast<double>(warmup);
  }
  switch (schedule.shape_case()) {
    case config::Schedule::kCosine: {
      const double low = schedule.cosine().final_fraction();
      const double progress = static_cast<double>(epoch - warmup) / static_cast<double>(epochs - warmup);
      return low + (1 - low) * 0.5 * (1 + std::cos(M_PI * progress));
    }
    case config::Schedule::kConstant:
    case config::Schedule::SHAPE_NOT_SET:
      break;
  }
  return 1;
}

}  // namespace retort::nn
