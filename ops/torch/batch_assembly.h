// Batch assembly on tensors.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"

namespace retort::ops::torch {

// ops::BatchAssembly (ops/batch_assembly.h) on CPU tensors: writes the batch into `output`, whose strides decide the
// layout, on LibTorch's threads. Not differentiable: its inputs are pixels.
//
// images u8 [N,H,W,C], index i64 [B], params i32 [B,3], scale f32 [C], offset f32 [C], output f32 [B,C,H,W].
//
// Errors: those of ops::BatchAssembly and TensorView::Create; InvalidArgument if elements of `output` share memory.
absl::Status BatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                           const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& output);

}  // namespace retort::ops::torch
