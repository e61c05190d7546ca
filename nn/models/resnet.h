// Residual networks of the ImageNet form. He et al. 2016, "Deep Residual Learning for Image Recognition",
// arXiv:1512.03385; names, strides and first weights as pytorch/vision: torchvision/models/resnet.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem [B,64,H/4,W/4] (IMAGENET: 7x7 convolution of stride 2, 3x3 max pool of stride 2) or [B,64,H,W] (CIFAR: 3x3)
//   -> stage1 [B,64e,.,.], stage2 [B,128e,./2,./2], stage3 [B,256e,./4,./4], stage4 [B,512e,./8,./8]; e is 1 for depths
//      18 and 34 and 4 from 50 on; sizes are rounded up
//   -> mean over H,W: the embedding [B,512e] -> linear: logits [B,K]
//
// Taps: see nn/models/residual_network.h. Any H, W >= 1. InvalidArgument unless C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeResNet(const config::ResNet& config, const ModelShape& shape);

}  // namespace retort::nn
