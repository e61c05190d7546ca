#include "retort/nn/models/resnet.h"

#include <vector>

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/residual_network.h"

namespace retort::nn {
namespace {

std::vector<int> BlocksOf(config::ResNet::Depth depth) {
  switch (depth) {
    case config::ResNet::RESNET_18:
      return {2, 2, 2, 2};
    case config::ResNet::RESNET_34:
    case config::ResNet::RESNET_50:
      return {3, 4, 6, 3};
    case config::ResNet::RESNET_101:
      return {3, 4, 23, 3};
    case config::ResNet::RESNET_152:
      return {3, 8, 36, 3};
  }
  return {};  // proto2 lets no other value through
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeResNet(const config::ResNet& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "resnet"));
  ResidualNetwork architecture;
  architecture.stem = config.stem();
  architecture.stem_width = 64;
  int64_t width = 64;
  for (const int blocks : BlocksOf(config.depth())) {
    architecture.stages.push_back({width, blocks});
    width *= 2;
  }
  architecture.bottleneck = config.depth() >= config::ResNet::RESNET_50;
  architecture.zero_init_residual = config.zero_init_residual();
  return MakeResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
