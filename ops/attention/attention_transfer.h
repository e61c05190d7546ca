// The attention-transfer loss with its gradient in one pass.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/device.h"

namespace retort::ops {

// What the attention-transfer loss writes.
struct AttentionTransferOutputs {
  halide_buffer_t* gradient = nullptr;  // f32 [B,C,H,W]: of the loss by the features; planar or interleaved as they are
  halide_buffer_t* rows = nullptr;      // f32 [B]: each sample's mean over places
  halide_buffer_t* loss = nullptr;      // f32 [1]: their mean
};

// loss = mean over (b,y,x) of (q - target)^2, q the map of the features, target f32 [B,H,W] the teacher's map. Form and
// kMeanSquare of szagoruyko/attention-transfer, utils.py.
absl::Status AttentionTransfer(halide_buffer_t* features, halide_buffer_t* target,
                               const ActivationMapParameters& parameters, const AttentionTransferOutputs& outputs,
                               const Device& device = {});

}  // namespace retort::ops
