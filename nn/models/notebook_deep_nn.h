// The teacher of the knowledge-distillation notebook. See nn/models/notebook_cnn.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Taps stage1 to stage3, features. At 32x32x3, 10 classes: 1,185,674 parameters, features [B,32,2,2], embedding
// [B,128].
absl::StatusOr<std::unique_ptr<Model>> MakeNotebookDeepNn(const config::NotebookDeepNn& config,
                                                          const ModelShape& shape);

}  // namespace retort::nn
