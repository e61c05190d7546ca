#include "retort/nn/optim/optimizer.h"

#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/_foreach_mul.h"
#include "ATen/ops/_foreach_norm.h"
#include "ATen/ops/_fused_adam.h"
#include "ATen/ops/_fused_adamw.h"
#include "ATen/ops/_fused_sgd.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "c10/util/Exception.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/key_maps/key_map.h"

namespace retort::nn {
namespace {

// Parameters that have the same rates, and their state.
struct Group {
  double learning_rate, weight_decay;  // factors on what the config says
  std::vector<NamedTensor> parameters;
  std::vector<std::vector<at::Tensor>> state;  // [kind][parameter]
};

// What one fused call moves: weights, their gradients, and their state by kind.
struct Moved {
  std::vector<at::Tensor> weights, gradients;
  std::vector<std::vector<at::Tensor>> state;
};

bool Names(const config::ParameterGroup& group, const std::string& parameter) {
  return absl::c_any_of(group.name(), [&](const std::string& pattern) { return FitsPattern(parameter, pattern); });
}

absl::Status CheckGroups(const config::Optimizer& config, const std::vector<NamedTensor>& parameters) {
  for (const config::ParameterGroup& group : config.group()) {
    for (const std::string& pattern : group.name()) {
      const auto fits = [&](const NamedTensor& parameter) { return FitsPattern(parameter.first, pattern); };
      if (absl::c_any_of(parameters, fits)) continue;
      std::vector<std::string> names;
      for (const NamedTensor& parameter : parameters) names.push_back(parameter.first);
      return absl::InvalidArgumentError(absl::StrCat("optimizer.group: no parameter is named \"", pattern,
                                                     "\"; permitted are patterns of ", absl::StrJoin(names, ", ")));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Group>> GroupsOf(const config::Optimizer& config,
                                            const std::vector<NamedTensor>& parameters) {
  RETORT_RETURN_IF_ERROR(CheckGroups(config, parameters));
  std::map<std::pair<double, double>, Group> groups;
  for (const NamedTensor& parameter : parameters) {
    const auto found =
        absl::c_find_if(config.group(), [&](const auto& group) { return Names(group, parameter.first); });
    const config::ParameterGroup& group =
        found == config.group().end() ? config::ParameterGroup::default_instance() : *found;
    parameter.second.requires_grad_(!group.frozen());
    if (group.frozen()) continue;
    const bool decays = config.decay_norms_and_biases() || parameter.second.dim() > 1;
    const double rate = group.learning_rate_factor(), decay = decays ? group.weight_decay_factor() : 0;
    Group& same = groups[{rate, decay}];
    same.learning_rate = rate;
    same.weight_decay = decay;
    same.parameters.push_back(parameter);
  }
  if (groups.empty()) {
    return absl::InvalidArgumentError("optimizer.group: every parameter is frozen; leave one at least to be trained");
  }
  std::vector<Group> result;
  for (auto& [rates, group] : groups) result.push_back(std::move(group));
  return result;
}

// The fused kernels walk parameter, gradient and moments as flat memory, so all of them must have the same strides.
at::Tensor GradientLaidOutAs(const at::Tensor& parameter) {
  const at::Tensor& gradient = parameter.grad();
  if (gradient.strides() == parameter.strides()) return gradient;
  return at::empty_like(parameter).copy_(gradient);
}

// Scales all gradients by min(1, most / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does, without waiting for a
// device.
void Clip(const std::vector<Group>& groups, double most) {
  std::vector<at::Tensor> gradients;
  for (const Group& group : groups) {
    for (const auto& [name, parameter] : group.parameters) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return;
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
  at::_foreach_mul_(gradients, (most / (norm + 1e-6)).clamp_max(1));
}

// A kernel and what state it has.
class FusedOptimizer : public Optimizer {
 public:
  void Step(double factor) override {
    const at::NoGradGuard no_grad;
    if (clip_norm_ > 0) Clip(groups_, clip_norm_);
    for (const Group& group : groups_) {
      Moved moved;
      moved.state.resize(group.state.size());
      for (size_t i = 0; i < group.parameters.size(); ++i) {
        const at::Tensor& parameter = group.parameters[i].second;
        if (!parameter.grad().defined()) continue;
        moved.weights.push_back(parameter);
        moved.gradients.push_back(GradientLaidOutAs(parameter));
        for (size_t kind = 0; kind < group.state.size(); ++kind) moved.state[kind].push_back(group.state[kind][i]);
      }
      if (!moved.weights.empty()) Update(moved, factor * group.learning_rate, group.weight_decay);
    }
  }

  std::vector<NamedTensor> State() const override {
    std::vector<NamedTensor> all;
    for (const Group& group : groups_) {
      for (size_t kind = 0; kind < kinds_.size(); ++kind) {
        for (size_t i = 0; i < group.parameters.size(); ++i) {
          all.emplace_back(absl::StrCat(group.parameters[i].first, ".", kinds_[kind]), group.state[kind][i]);
        }
      }
    }
    return all;
  }

 protected:
  // `kinds` of state, all zero at first: "step" a number each, the others as large as the parameter and laid out as it.
  FusedOptimizer(const config::Optimizer& config, std::vector<Group> groups, std::vector<std::string> kinds)
      : clip_norm_(config.has_clip_norm() ? config.clip_norm() : 0),
        groups_(std::move(groups)),
        kinds_(std::move(kinds)) {
    for (Group& group : groups_) {
      for (const std::string& kind : kinds_) {
        std::vector<at::Tensor>& state = group.state.emplace_back();
        for (const auto& [name, parameter] : group.parameters) {
          state.push_back(kind == "step" ? at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false))
                                         : at::zeros_like(parameter));
        }
      }
    }
  }

 private:
  // Factors are on the config's.
  virtual void Update(const Moved& moved, double learning_rate, double weight_decay) const = 0;

  const double clip_norm_;  // 0: no limit
  std::vector<Group> groups_;
  const std::vector<std::string> kinds_;
};

// Adam and AdamW.
template <typename Config>
class AdamOptimizer final : public FusedOptimizer {
 public:
  AdamOptimizer(const config::Optimizer& config, const Config& adam, std::vector<Group> groups)
      : FusedOptimizer(config, std::move(groups), {"exp_avg", "exp_avg_sq", "step"}), adam_(adam) {}

 private:
  void Update(const Moved& moved, double learning_rate, double weight_decay) const override {
    for (const at::Tensor& step : moved.state[2]) step.add_(1);
    const auto update = std::is_same_v<Config, config::AdamW> ? Decoupled : Coupled;
    update(moved, adam_.learning_rate() * learning_rate, adam_.beta1(), adam_.beta2(),
           adam_.weight_decay() * weight_decay, adam_.epsilon());
  }

  static void Coupled(const Moved& moved, double learning_rate, double beta1, double beta2, double weight_decay,
                      double epsilon) {
    at::_fused_adam_(moved.weights, moved.gradients, moved.state[0], moved.state[1], /*max_exp_avg_sqs=*/{},
                     moved.state[2], learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false,
                     /*maximize=*/false);
  }
  static void Decoupled(const Moved& moved, double learning_rate, double beta1, double beta2, double weight_decay,
                        double epsilon) {
    at::_fused_adamw_(moved.weights, moved.gradients, moved.state[0], moved.state[1], /*max_exp_avg_sqs=*/{},
                      moved.state[2], learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }

  const Config adam_;
};

class SgdOptimizer final : public FusedOptimizer {
 public:
  SgdOptimizer(const config::Optimizer& config, std::vector<Group> groups)
      : FusedOptimizer(config, std::move(groups), Kinds(config.sgd())), sgd_(config.sgd()) {}

 private:
  void Update(const Moved& moved, double learning_rate, double weight_decay) const override {
    // PyTorch starts from v = g. With no dampening that is what v = momentum * 0 + g gives, so there is no first step.
    const std::vector<at::Tensor> momentum = moved.state.empty() ? std::vector<at::Tensor>() : moved.state[0];
    at::_fused_sgd_(moved.weights, moved.gradients, momentum, sgd_.weight_decay() * weight_decay, sgd_.momentum(),
                    sgd_.learning_rate() * learning_rate, /*dampening=*/0, sgd_.nesterov(),
                    /*maximize=*/false, /*is_first_step=*/false);
  }

  static std::vector<std::string> Kinds(const config::Sgd& sgd) {
    if (sgd.momentum() == 0) return {};
    return {"momentum_buffer"};
  }

  const config::Sgd sgd_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> BuildOptimizer(const config::Optimizer& config,
                                                          const std::vector<NamedTensor>& parameters) {
  RETORT_ASSIGN_OR_RETURN(std::vector<Group> groups, GroupsOf(config, parameters));
  switch (config.optimizer_case()) {
    case config::Optimizer::kAdam:
      return std::make_unique<AdamOptimizer<config::Adam>>(config, config.adam(), std::move(groups));
    case config::Optimizer::kAdamw:
      return std::make_unique<AdamOptimizer<config::AdamW>>(config, config.adamw(), std::move(groups));
    case config::Optimizer::kSgd:
      return std::make_unique<SgdOptimizer>(config, std::move(groups));
    case config::Optimizer::OPTIMIZER_NOT_SET:
      break;
  }
  TORCH_CHECK(false, "an optimizer without a choice passed validation");
}

double LearningRate(const config::Optimizer& config) {
  switch (config.optimizer_case()) {
    case config::Optimizer::kAdam:
      return config.adam().learning_rate();
    case config::Optimizer::kAdamw:
      return config.adamw().learning_rate();
    case config::Optimizer::kSgd:
      return config.sgd().learning_rate();
    case config::Optimizer::OPTIMIZER_NOT_SET:
      break;
  }
  TORCH_CHECK(false, "an optimizer without a choice passed validation");
}

void ZeroGrad(const std::vector<NamedTensor>& parameters) {
  for (const auto& [name, parameter] : parameters) parameter.mutable_grad().reset();
}

}  // namespace retort::nn
