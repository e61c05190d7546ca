#include "retort/ops/torch/autograd/attention.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/core/LegacyTypeDispatch.h"
#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/amax.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/mse_loss.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"

#include "retort/ops/attention/activation_map.h"
#include "retort/ops/attention/attention_transfer.h"
#include "retort/ops/device.h"
#include "retort/ops/torch/autograd/with_backward.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {
namespace {

using Buffers = absl::Span<halide_buffer_t* const>;

std::string ShapeText(const at::Tensor& tensor) {
  return tensor.defined() ? absl::StrCat("[", absl::StrJoin(tensor.sizes(), ","), "]") : "nothing";
}

at::Tensor Normalized(const at::Tensor& map) {
  return map / at::linalg_vector_norm(map, 2, at::IntArrayRef{1, 2}, /*keepdim=*/true).clamp_min(1e-12);
}

at::Tensor PlainMap(const at::Tensor& features, const ActivationMapParameters& parameters) {
  at::Tensor map;
  switch (parameters.kind) {
    case ActivationKind::kMeanAbsolute:
      map = features.abs().mean(1);
      break;
    case ActivationKind::kMeanSquare:
      map = features.square().mean(1);
      break;
    case ActivationKind::kMeanFourth:
      map = features.square().square().mean(1);
      break;
    case ActivationKind::kMaximum:
      map = at::amax(features.abs(), {1});
      break;
  }
  return parameters.normalize ? Normalized(map) : map;
}

absl::Status CheckFeatures(const char* op, const at::Tensor& features) {
  if (features.defined() && features.dim() == 4 && features.is_floating_point()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": features ", ShapeText(features), " must be [B,C,H,W] of floats"));
}

// Whether there is a fused op for these: of f32, and on a GPU of no more places than a block's memory holds.
bool IsFused(const at::Tensor& features) {
  return features.scalar_type() == at::kFloat &&
         (features.is_cpu() ||
          PlacesOnDevice(features.size(2), features.size(3), /*one_row=*/true) <= kMostPlacesOnDevice);
}

// Features in which the places of a sample, or its channels, lie side by side; on a GPU also its rows, if with gaps
// between them they are too many places.
at::Tensor Dense(const at::Tensor& features) {
  const bool fits = features.is_cpu() || features.stride(2) == features.stride(3) * features.size(3) ||
                    PlacesOnDevice(features.size(2), features.size(3), /*one_row=*/false) <= kMostPlacesOnDevice;
  const bool side_by_side = features.stride(3) == 1 || features.stride(1) == 1;
  return side_by_side && fits ? features : features.clone(at::MemoryFormat::Contiguous);
}

}  // namespace

absl::StatusOr<at::Tensor> ActivationMap(const at::Tensor& features, const ActivationMapParameters& parameters) {
  if (absl::Status status = CheckFeatures("activation_map", features); !status.ok()) return status;
  const auto plain = [parameters](const at::Tensor& f) { return PlainMap(f, parameters); };
  if (!IsFused(features)) return plain(features);

  at::Tensor map;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const at::Tensor dense = Dense(features);
    map = at::empty({features.size(0), features.size(2), features.size(3)}, features.options());
    const absl::Status status = CallOnTensors(
        {{"features", dense}, {"map", map}},
        [&](Buffers b, const Device& device) { return ops::ActivationMap(b[0], parameters, b[1], device); });
    if (!status.ok()) return status;
  }
  const auto fused = [parameters](const at::Tensor& by_map, const BackwardPass& pass) {
    const at::Tensor dense = Dense(pass.input());
    const at::Tensor gradient = at::empty_like(dense), by_map_dense = by_map.clone(at::MemoryFormat::Contiguous);
    const absl::Status status =
        CallOnTensors({{"features", dense}, {"map_gradient", by_map_dense}, {"gradient", gradient}},
                      [&](Buffers b, const Device& device) {
                        return ops::ActivationMapBackward(b[0], b[1], parameters, b[2], device);
                      });
    TORCH_CHECK(status.ok(), std::string(status.message()));
    return gradient;
  };
  return WithBackward(features, map, {fused, plain});
}

absl::StatusOr<at::Tensor> AttentionTransfer(const at::Tensor& features, const at::Tensor& target,
                                             const ActivationMapParameters& parameters, Pooling pooling) {
  if (absl::Status status = CheckFeatures("attention_transfer", features); !status.ok()) return status;
  if (!target.defined() || target.dim() != 3 || target.size(0) != features.size(0) ||
      target.size(1) > features.size(2) || target.size(2) > features.size(3) ||
      target.scalar_type() != features.scalar_type()) {
    return absl::InvalidArgumentError(absl::StrCat("attention_transfer: target ", ShapeText(target),
                                                   " must be [B,H,W], of the type of features ", ShapeText(features),
                                                   " and nowhere larger"));
  }
  if (features.size(0) == 0) return (features * 0).sum();
  const at::Tensor constant = target.detach().clone(at::MemoryFormat::Contiguous);
  const bool pool = target.size(1) != features.size(2) || target.size(2) != features.size(3);
  const at::IntArrayRef size = target.sizes().slice(1);
  if (pool && pooling == Pooling::kMap) {
    const absl::StatusOr<at::Tensor> map = ActivationMap(features, {parameters.kind, /*normalize=*/false});
    if (!map.ok()) return map.status();
    const at::Tensor averaged = at::adaptive_avg_pool2d(*map, size);
    return at::mse_loss(parameters.normalize ? Normalized(averaged) : averaged, constant);
  }
  const at::Tensor pooled = pool ? at::adaptive_avg_pool2d(features, size) : features;
  const auto plain = [parameters, constant](const at::Tensor& f) {
    return at::mse_loss(PlainMap(f, parameters), constant);
  };
  if (!IsFused(pooled)) return plain(pooled);

  at::Tensor gradient, loss;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const at::Tensor dense = Dense(pooled);
    gradient = at::empty_like(dense);
    const at::Tensor rows = at::empty({features.size(0)}, features.options()),
                     mean = at::empty({1}, features.options());
    const absl::Status status = CallOnTensors(
        {{"features", dense}, {"target", constant}, {"gradient", gradient}, {"rows", rows}, {"loss", mean}},
        [&](Buffers b, const Device& device) {
          return ops::AttentionTransfer(b[0], b[1], parameters, {b[2], b[3], b[4]}, device);
        });
    if (!status.ok()) return status;
    loss = mean.select(0, 0);
  }
  return WithBackward(
      pooled, loss,
      {[gradient](const at::Tensor& by_loss, const BackwardPass& pass) { return Scaled(gradient, by_loss, pass); },
       plain});
}

}  // namespace retort::ops::torch
