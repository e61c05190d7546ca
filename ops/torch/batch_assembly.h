// Batch assembly on tensors.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"

#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::ops::torch {

// The ops of ops/batch_assembly.h on tensors of one device, cpu or cuda: they write the batch into `output`, whose type
// and strides decide element and layout. Not differentiable: their inputs are pixels.
//
// images u8 [N,H,W,C] of any strides: channels_last tensors permuted, planes, slices; index i64 [B], params i32 [B,7],
// scale f32 [C], offset f32 [C], output f32, f16 or bf16 [B,C,H,W].
//
// Errors: those of the ops and of CallOnTensors.
absl::Status BatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                           const at::Tensor& scale, const at::Tensor& offset, Border border, const at::Tensor& output);

// index i64 [B,2], params i32 [B,2,7], lambda f32 [B], mix_box i32 [B,4].
absl::Status MixedBatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                                const at::Tensor& lambda, const at::Tensor& mix_box, const at::Tensor& scale,
                                const at::Tensor& offset, Border border, const at::Tensor& output);

// output u8 [B,H,W,C].
absl::Status CropBatch(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params, Border border,
                       const at::Tensor& output);

}  // namespace retort::ops::torch
