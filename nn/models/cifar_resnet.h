// Residual networks of the CIFAR form: resnet8 to resnet110, resnet8x4 and resnet32x4 of the CIFAR-100 distillation
// benchmark. He et al. 2016, arXiv:1512.03385, section 4.2, but with a 1x1 convolution and BatchNorm where a shortcut
// changes shape; names and first weights as HobbitLong/RepDistiller: models/resnet.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Three stages of (depth - 2) / 6 blocks of two 3x3 convolutions; the stages are [B,width,H,W], [B,2 width,H/2,W/2] and
// [B,4 width,H/4,W/4]. Taps stem, stage1 to stage3: see nn/models/residual_network.h. Any H, W >= 1.
// InvalidArgument unless depth is 8, 14, 20, ..., and C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeCifarResNet(const config::CifarResNet& config, const ModelShape& shape);

}  // namespace retort::nn
