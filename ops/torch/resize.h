// Antialiased resize, alone or fused into a batch, on tensors.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"

namespace retort::ops::torch {

// The ops of ops/resize/resize.h on tensors; they write into `output`, whose type and strides decide element and
// layout. Not differentiable: their inputs are pixels.
//
// All tensors lie on one device, cpu or cuda. For cuda the tables of weights are made on the host and copied to the
// device on the current stream, without waiting for it.
//
// Errors: those of the ops and of CallOnTensors; output is then untouched.

// image u8 [H,W,C], output u8 [H',W',C].
absl::Status Resize(const at::Tensor& image, Filter filter, const at::Tensor& output);

// images B of u8 [H,W,C], H and W of each its own; params B; scale, offset, erased f32 [C]; output f32,
// f16 or bf16 [B,C,H',W'], or u8 of pixels, for which scale, offset and erased are undefined. On cuda each image is a
// launch.
absl::Status CropResize(absl::Span<const at::Tensor> images, absl::Span<const CropResizeParams> params, Filter filter,
                        const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& erased,
                        const at::Tensor& output);

// images u8 [N,H,W,C], index i64 [B], the rest as above; on cuda one launch.
absl::Status CropResizeResident(const at::Tensor& images, const at::Tensor& index,
                                absl::Span<const CropResizeParams> params, Filter filter, const at::Tensor& scale,
                                const at::Tensor& offset, const at::Tensor& erased, const at::Tensor& output);

}  // namespace retort::ops::torch
