#include "retort/nn/models/notebook_deep_nn.h"

#include "retort/nn/models/notebook_cnn.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeNotebookDeepNn(const config::NotebookDeepNn& config,
                                                          const ModelShape& shape) {
  NotebookCnn architecture;
  architecture.stages = {{config.stage1(), 2}, {config.stage2(), 2}, {config.stage3(), 2}, {config.stage4(), 2}};
  architecture.hidden = config.hidden();
  architecture.dropout = config.dropout();
  return MakeNotebookCnn(architecture, shape);
}

}  // namespace retort::nn
