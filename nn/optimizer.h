// One step of Adam or SGD over all parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/nn/model.h"
#include "retort/nn/optimizer.pb.h"

namespace retort::nn {

// Updates parameters in place from their .grad with LibTorch's fused kernels. Its state is named tensors, so that a
// checkpoint saves it like weights.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Learning rate = config's learning_rate * factor.
  virtual void Step(double factor) = 0;

  // Moments and step counts, named after their parameter; share the optimiser's storage.
  virtual std::vector<NamedTensor> State() const = 0;
};

std::unique_ptr<Optimizer> BuildOptimizer(const config::Optimizer& config, std::vector<NamedTensor> parameters);

// Drops all gradients; the next backward pass writes them anew.
void ZeroGrad(const std::vector<NamedTensor>& parameters);

// Factor of `schedule` in `epoch` of `epochs`, both counted from 0: linear warm-up, then the chosen shape over the
// rest.
double LearningRateFactor(const config::Schedule& schedule, int64_t epoch, int64_t epochs);

}  // namespace retort::nn
