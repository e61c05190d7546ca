// MobileNetV3. Howard et al. 2019, arXiv:1905.02244; names and first weights as pytorch/vision:
// torchvision/models/mobilenetv3.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// See nn/models/inverted_residual_network.h. With w the width multiplier, all channels through RoundToEight:
//
//               LARGE    SMALL
//   stem         16w      16w    H/2
//   stage1       24w      16w    H/4
//   stage2       40w      24w    H/8
//   stage3      112w      48w    H/16
//   stage4      160w      96w    H/32
//   embedding   960w     576w
//
// Taps stem and stage1 to stage4, outputs of blocks, which end in a normalisation. Any H, W >= 1.
// InvalidArgument unless C, H, W, K are positive.
absl::StatusOr<std::unique_ptr<Model>> MakeMobileNetV3(const config::MobileNetV3& config, const ModelShape& shape);

}  // namespace retort::nn
