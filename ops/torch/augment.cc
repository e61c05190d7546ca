#include "retort/ops/torch/augment.h"

#include "ATen/ops/empty.h"
#include "HalideRuntime.h"
#include "absl/types/span.h"

#include "retort/ops/augment/augment.h"
#include "retort/ops/augment/mix_images.h"
#include "retort/ops/device.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {

using Buffers = absl::Span<halide_buffer_t* const>;

absl::Status Augment(const at::Tensor& images, const at::Tensor& records, const at::Tensor& output) {
  // Tensors of other shapes are refused before scratch is looked at.
  if (!images.defined() || images.is_cpu() || images.dim() != 4) {
    return CallOnTensors({{"images", images}, {"records", records}, {"output", output}},
                         [](Buffers b, const Device& device) { return ops::Augment(b[0], b[1], b[2], {}, device); });
  }
  const at::Tensor scratch = at::empty(images.sizes(), images.options());
  const at::Tensor tables = at::empty({images.size(0), images.size(3), 256}, images.options());
  return CallOnTensors(
      {{"images", images}, {"records", records}, {"output", output}, {"scratch", scratch}, {"tables", tables}},
      [](Buffers b, const Device& device) {
        return ops::Augment(b[0], b[1], b[2], {b[3], b[4]}, device);
      });
}

absl::Status MixImages(const at::Tensor& images, const at::Tensor& weights, const at::Tensor& output) {
  return CallOnTensors({{"images", images}, {"weights", weights}, {"output", output}},
                       [](Buffers b, const Device& device) { return ops::MixImages(b[0], b[1], b[2], device); });
}

}  // namespace retort::ops::torch
