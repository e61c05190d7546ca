// One step of SGD, Adam or AdamW over all parameters.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/optim/optimizer.pb.h"

namespace retort::nn {

// Updates parameters in place from their .grad with LibTorch's fused kernels, one call for all parameters that have the
// same rates. A parameter without gradient is left alone, as in PyTorch. Its state is named tensors, so that a
// checkpoint saves it like weights.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Clips where the config says so. Learning rate = config's learning_rate * factor * that of the parameter's group.
  virtual void Step(double factor) = 0;

  // Moments and step counts, named after their parameter; share the optimiser's storage.
  virtual std::vector<NamedTensor> State() const = 0;
};

// Parameters of frozen groups cease to require gradients, and are no part of the optimiser. InvalidArgument if a
// group's name fits no parameter, or none is left to train.
absl::StatusOr<std::unique_ptr<Optimizer>> BuildOptimizer(const config::Optimizer& config,
                                                          const std::vector<NamedTensor>& parameters);

double LearningRate(const config::Optimizer& config);

// Drops all gradients; the next backward pass writes them anew.
void ZeroGrad(const std::vector<NamedTensor>& parameters);

}  // namespace retort::nn
