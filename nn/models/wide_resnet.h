// Wide residual networks WRN-depth-widen. Zagoruyko & Komodakis 2016, arXiv:1605.07146; names and first weights as the
// CIFAR-100 distillation benchmark: HobbitLong/RepDistiller: models/wrn.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem: 3x3 convolution [B,16,H,W]
//   -> stage1 [B,16w,H,W], stage2 [B,32w,H/2,W/2], stage3 [B,64w,H/4,W/4], w the widening, sizes rounded up: each of
//      (depth - 4) / 6 blocks BatchNorm, ReLU, 3x3 convolution, BatchNorm, ReLU, dropout, 3x3 convolution, added to the
//      block's input; where the channels change, to a 1x1 convolution of the first ReLU's output
//   -> BatchNorm, ReLU, mean over H,W: the embedding [B,64w] -> linear: logits [B,K]
//
// Taps: stem, stage1 to stage3, the raw sums that leave a stage, which no normalisation or ReLU has seen;
// "<tap>.preact", the sum through the BatchNorm that follows it (the next stage's first, or the last of all); and
// "<tap>.act", that through its ReLU. Any H, W >= 1. InvalidArgument unless depth is 10, 16, 22, ..., and C, H, W, K
// are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeWideResNet(const config::WideResNet& config, const ModelShape& shape);

}  // namespace retort::nn
