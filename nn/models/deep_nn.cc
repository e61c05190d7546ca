#include "retort/nn/models/deep_nn.h"

#include "retort/nn/models/tutorial_cnn.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeDeepNn(const config::DeepNn& config, const ModelShape& shape) {
  TutorialCnn architecture;
  architecture.stages = {
      {config.conv1(), false}, {config.conv2(), true}, {config.conv3(), false}, {config.conv4(), true}};
  architecture.hidden = config.hidden();
  architecture.dropout = config.dropout();
  return MakeTutorialCnn(architecture, shape);
}

}  // namespace retort::nn
