// The residual networks of the experiment that distils depth 30 into depth 15 on CIFAR-10: basic blocks, three stages
// of 64, 128 and 256 channels, PyTorch's own first weights.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Stage i of 1, 2, 3 has floor((depth - 2) / 6) blocks, and one more if the remainder of that division exceeds 0, 2, 4:
// depth 30 has 5, 5, 4 and 6,247,242 parameters at 10 classes; depth 15 has 3, 2, 2 and 2,851,658.
//
// Stages [B,width,H,W], [B,2 width,H/2,W/2], [B,4 width,H/4,W/4]. Taps stem, stage1 to stage3: see
// nn/models/residual_network.h. Any H, W >= 1. InvalidArgument unless each stage has a block (depth 7 and more) and
// C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeResidual(const config::Residual& config, const ModelShape& shape);

}  // namespace retort::nn
