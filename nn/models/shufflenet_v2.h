// ShuffleNetV2. Ma et al. 2018, arXiv:1807.11164; names and first weights of form TORCHVISION as pytorch/vision:
// torchvision/models/shufflenetv2.py, of form BENCHMARK as HobbitLong/RepDistiller: models/ShuffleNetv2.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem: [B,24,H/2,W/2] (TORCHVISION: 3x3 convolution of stride 2, then a 3x3 max pool of stride 2) or [B,24,H,W]
//      (BENCHMARK: 1x1 convolution), BatchNorm, ReLU
//   -> stage1 [B,c,.,.], stage2 [B,2c,./2,./2], stage3 [B,4c,./4,./4] of 4, 8, 4 blocks, each stage halving H and W,
//      rounded up: c is 48, 116, 176, 244 for sizes X0_5, X1_0, X1_5, X2_0
//   -> 1x1 convolution, BatchNorm, ReLU, mean over H,W: the embedding [B,1024] (2048 for X2_0)
//   -> linear: logits [B,K]
//
// A block sends the second half of its channels (all, in a stage's first block) through a 1x1, a 3x3 (each channel
// alone) and a 1x1 convolution with BatchNorm, and ReLU after the 1x1s; in a stage's first block the other half is such
// a 3x3 and 1x1 of the input, else the input's first half as it is; the halves' channels are then interleaved.
//
// Taps: stem (before the pool), stage1 to stage3 after the last ReLU, and "<tap>.preact" before it: of stages, the
// halves in order, the first as it leaves the block, the second before its ReLU, not interleaved. Any H, W >= 1.
// InvalidArgument unless C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeShuffleNetV2(const config::ShuffleNetV2& config, const ModelShape& shape);

}  // namespace retort::nn
