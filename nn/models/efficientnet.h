// EfficientNet. Tan & Le 2019, arXiv:1905.11946; names and first weights as pytorch/vision:
// torchvision/models/efficientnet.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// See nn/models/inverted_residual_network.h. With w the width multiplier, all channels through RoundToEight: stem 32w
// at H/2, stage1 24w at H/4, stage2 40w at H/8, stage3 112w at H/16, stage4 320w at H/32, embedding 1280w.
//
// In training, block i of n (from 0) leaves out its branch, an image at a time, with probability drop_path i / n.
// Taps stem and stage1 to stage4, outputs of blocks, which end in a normalisation. Any H, W >= 1.
// InvalidArgument unless C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeEfficientNet(const config::EfficientNet& config, const ModelShape& shape);

}  // namespace retort::nn
