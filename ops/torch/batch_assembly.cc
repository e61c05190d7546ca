#include "retort/ops/torch/batch_assembly.h"

#include "HalideRuntime.h"
#include "absl/types/span.h"

#include "retort/ops/batch_assembly/batch_assembly.h"
#include "retort/ops/device.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {

using Buffers = absl::Span<halide_buffer_t* const>;

absl::Status BatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                           const at::Tensor& scale, const at::Tensor& offset, Border border, const at::Tensor& output) {
  return CallOnTensors({{"images", images},
                        {"index", index},
                        {"params", params},
                        {"scale", scale},
                        {"offset", offset},
                        {"output", output}},
                       [border](Buffers b, const Device& device) {
                         return ops::BatchAssembly(b[0], b[1], b[2], b[3], b[4], border, b[5], device);
                       });
}

absl::Status MixedBatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                                const at::Tensor& lambda, const at::Tensor& mix_box, const at::Tensor& scale,
                                const at::Tensor& offset, Border border, const at::Tensor& output) {
  return CallOnTensors({{"images", images},
                        {"index", index},
                        {"params", params},
                        {"lambda", lambda},
                        {"mix_box", mix_box},
                        {"scale", scale},
                        {"offset", offset},
                        {"output", output}},
                       [border](Buffers b, const Device& device) {
                         return ops::MixedBatchAssembly(b[0], b[1], b[2], b[3], b[4], b[5], b[6], border, b[7], device);
                       });
}

absl::Status CropBatch(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params, Border border,
                       const at::Tensor& output) {
  return CallOnTensors(
      {{"images", images}, {"index", index}, {"params", params}, {"output", output}},
      [border](Buffers b, const Device& device) { return ops::CropBatch(b[0], b[1], b[2], border, b[3], device); });
}

}  // namespace retort::ops::torch
