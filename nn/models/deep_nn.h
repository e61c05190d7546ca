// DeepNn: the teacher of PyTorch's knowledge-distillation tutorial. See nn/models/tutorial_cnn.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Taps conv1, conv2, conv3, features. At 32x32x3, 10 classes: 1,186,986 parameters, features [B,32,8,8], embedding
// [B,2048].
absl::StatusOr<std::unique_ptr<Model>> MakeDeepNn(const config::DeepNn& config, const ModelShape& shape);

}  // namespace retort::nn
