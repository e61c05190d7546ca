// ShuffleNetV1 of the CIFAR-100 distillation benchmark. Zhang et al. 2018, arXiv:1707.01083, with a 1x1 stem of stride
// 1 for 32 px; names and first weights as HobbitLong/RepDistiller: models/ShuffleNetv1.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem [B,24,H,W]: 1x1 convolution, BatchNorm, ReLU
//   -> stage1 [B,width,H/2,W/2], stage2 [B,2 width,H/4,W/4], stage3 [B,4 width,H/8,W/8] of 4, 8, 4 blocks, sizes
//   rounded
//      up: grouped 1x1 convolution to a quarter of the block's channels, BatchNorm, ReLU, channel shuffle; 3x3
//      convolution of each channel alone, BatchNorm, ReLU; grouped 1x1 convolution, BatchNorm; the input is added, or,
//      where the stride is 2, its 3x3 average (zeros outside the image counted) appended; ReLU
//   -> mean over H,W: the embedding [B,4 width] -> linear: logits [B,K]
//
// The very first convolution of stage1 has one group. Taps stem, stage1 to stage3, and "<tap>.preact" before the last
// ReLU. Any H, W >= 1. InvalidArgument unless `groups` divides all that it must, and C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeShuffleNetV1(const config::ShuffleNetV1& config, const ModelShape& shape);

}  // namespace retort::nn
