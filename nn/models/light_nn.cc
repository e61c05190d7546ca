#include "retort/nn/models/light_nn.h"

#include "retort/nn/models/tutorial_cnn.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeLightNn(const config::LightNn& config, const ModelShape& shape) {
  TutorialCnn architecture;
  architecture.stages = {{config.conv1(), true}, {config.conv2(), true}};
  architecture.hidden = config.hidden();
  architecture.dropout = config.dropout();
  return MakeTutorialCnn(architecture, shape);
}

}  // namespace retort::nn
