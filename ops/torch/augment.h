// Augmentation steps on tensors.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"

namespace retort::ops::torch {

// The ops of ops/augment on tensors of one device, cpu or cuda; they write into `output`. What a device needs to work
// in comes from LibTorch's allocator. Not differentiable: pixels in, pixels out.
//
// images u8 [B,H,W,C], records i32 [B,S,8], output u8 [B,H,W,C]; on cpu output may be images itself.
//
// Errors: those of the ops and of CallOnTensors.
absl::Status Augment(const at::Tensor& images, const at::Tensor& records, const at::Tensor& output);

// images u8 [B,K,P], weights f32 [B,K], output u8 [B,P].
absl::Status MixImages(const at::Tensor& images, const at::Tensor& weights, const at::Tensor& output);

}  // namespace retort::ops::torch
