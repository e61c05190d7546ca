// The student of the knowledge-distillation notebook. See nn/models/notebook_cnn.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Taps stage1, features. At 32x32x3, 10 classes: 268,091 parameters, features [B,16,8,8], embedding [B,1024].
absl::StatusOr<std::unique_ptr<Model>> MakeNotebookLightNn(const config::NotebookLightNn& config,
                                                           const ModelShape& shape);

}  // namespace retort::nn
