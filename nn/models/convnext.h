// ConvNeXt. Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545; names and first weights as pytorch/vision:
// torchvision/models/convnext.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem [B,D,H/4,W/4]: 4x4 convolution of stride 4, LayerNorm over the channels
//   -> stage1 [B,D,H/4,W/4], stage2 [B,2D,H/8,W/8], stage3 [B,4D,H/16,W/16], stage4 [B,8D,H/32,W/32]: before each but
//   the
//      first LayerNorm and a 2x2 convolution of stride 2; sizes are rounded down
//   -> mean over H,W, LayerNorm: the embedding [B,8D] -> linear: logits [B,K]
//
// A block adds to its input: 7x7 convolution of each channel alone, LayerNorm, linear to four times the channels, GELU,
// linear back, times a learned scale a channel. In training, block i of n (from 0) leaves that out, an image at a time,
// with probability drop_path i / (n - 1). LayerNorm's eps is 1e-6. D is 96, 96, 128, 192 and the stages have 3, 3, 9, 3
// blocks (27 in stage3 but for TINY).
//
// Taps stem, stage1 to stage4: raw sums, since no activation ends a block. InvalidArgument unless H and W are at least
// 32 and C, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeConvNext(const config::ConvNext& config, const ModelShape& shape);

}  // namespace retort::nn
