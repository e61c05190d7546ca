// MobileNetV2. Sandler et al. 2018, arXiv:1801.04381; names and first weights of form TORCHVISION as pytorch/vision:
// torchvision/models/mobilenetv2.py, of form BENCHMARK as HobbitLong/RepDistiller: models/mobilenetv2.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// See nn/models/inverted_residual_network.h. With w the width multiplier:
//
//                             TORCHVISION                       BENCHMARK
//   stem      32w channels    H/2                               H/2
//   stage1    24w             H/4                               H/2
//   stage2    32w             H/8                               H/4
//   stage3    96w             H/16                              H/8
//   stage4    320w            H/32                              H/16
//   channels                  RoundToEight                      rounded down
//   activation                ReLU6                             ReLU
//   the first block           has no expansion                  expands by 1
//
// Taps stem and stage1 to stage4, outputs of blocks, which end in a normalisation. embedding [B,1280 max(1,w)].
// Any H, W >= 1. InvalidArgument unless C, H, W, K are positive, and for widths that leave a BENCHMARK layer without a
// channel.
absl::StatusOr<std::unique_ptr<Model>> MakeMobileNetV2(const config::MobileNetV2& config, const ModelShape& shape);

}  // namespace retort::nn
