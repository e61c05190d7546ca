// VGG networks with BatchNorm of the CIFAR-100 distillation benchmark. Simonyan & Zisserman 2015, arXiv:1409.1556, with
// one linear layer instead of three; names and first weights as HobbitLong/RepDistiller: models/vgg.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem [B,64,H,W], stage1 [B,128,H/2,W/2], stage2 [B,256,H/4,W/4], stage3 [B,512,H/8,W/8], stage4 [B,512,.,.]:
//   each
//      of 1 to 4 layers of 3x3 convolution with bias, BatchNorm, ReLU, and a 2x2 max pool between two of them, sizes
//      rounded down; the pool between stage3 and stage4 is left out where H or W is below 64
//   -> mean over H,W: the embedding [B,512] -> linear: logits [B,K]
//
// Taps: stem, stage1 to stage4, each after its last ReLU, and "<tap>.preact" before it.
// InvalidArgument unless H and W are at least 8 and C, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeVgg(const config::Vgg& config, const ModelShape& shape);

}  // namespace retort::nn
