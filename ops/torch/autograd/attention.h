// Activation maps and attention transfer (ops/attention) on tensors, differentiable by the features.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

#include "retort/ops/attention/activation_map_parameters.h"

namespace retort::ops::torch {

// features [B,C,H,W] -> map [B,H,W] as ops/attention/activation_map.h says. Any strides: NCHW, channels_last and slices
// of them are read where they lie; features of which neither W nor C has stride 1 are copied first, and on a GPU those
// whose rows have gaps, if with them they are too many places.
//
// Features of f32 take the fused op; other types, and a backward pass that is to be differentiated again
// (create_graph), take the formula in plain ATen operators. The maximum's gradient is shared evenly among equals.
//
// InvalidArgument for other shapes, and what ops::ActivationMap and TensorView::Create say.
absl::StatusOr<at::Tensor> ActivationMap(const at::Tensor& features, const ActivationMapParameters& parameters);

// What is averaged where a target is smaller than the features: adaptively, each place over those it covers.
enum class Pooling {
  kFeatures,  // the features, before the map is taken; HobbitLong/RepDistiller, distiller_zoo/AT.py
  kMap,       // the map, before it is divided by its length
};

// Mean over (b,y,x) of (q - target)^2, q the map of the features, target [B,H,W] of the same type: the teacher's map, a
// constant, of which a copy is kept, nowhere larger than the features. Where sizes agree nothing is averaged. An empty
// batch has the loss 0.
absl::StatusOr<at::Tensor> AttentionTransfer(const at::Tensor& features, const at::Tensor& target,
                                             const ActivationMapParameters& parameters,
                                             Pooling pooling = Pooling::kFeatures);

}  // namespace retort::ops::torch
