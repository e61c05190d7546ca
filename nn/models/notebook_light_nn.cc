#include "retort/nn/models/notebook_light_nn.h"

#include "retort/nn/models/notebook_cnn.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeNotebookLightNn(const config::NotebookLightNn& config,
                                                           const ModelShape& shape) {
  NotebookCnn architecture;
  architecture.stages = {{config.stage1(), 1}, {config.stage2(), 1}};
  architecture.hidden = config.hidden();
  architecture.dropout = config.dropout();
  architecture.raw_weight = true;
  return MakeNotebookCnn(architecture, shape);
}

}  // namespace retort::nn
