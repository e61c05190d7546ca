// LightNn: the student of PyTorch's knowledge-distillation tutorial. See nn/models/tutorial_cnn.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Taps conv1, features. At 32x32x3, 10 classes: 267,738 parameters, features [B,16,8,8], embedding [B,1024].
absl::StatusOr<std::unique_ptr<Model>> MakeLightNn(const config::LightNn& config, const ModelShape& shape);

}  // namespace retort::nn
