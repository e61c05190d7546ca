// Ops on tensors.
#pragma once

#include "ATen/core/Tensor.h"
#include "HalideRuntime.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "retort/ops/device.h"

namespace retort::ops::torch {

struct NamedTensor {
  absl::string_view name;
  const at::Tensor& tensor;
};

// Views `tensors` (TensorView) and hands their buffers, in the same order, to `op`, with the device they all lie on:
// the host, on LibTorch's threads, or CUDA, in LibTorch's primary context and on its current stream. Returns what `op`
// does.
//
//   return CallOnTensors({{"input", input}, {"output", output}},
//                        [](absl::Span<halide_buffer_t* const> buffers, const Device& device) {
//                          return ops::Blur(buffers[0], buffers[1], device);
//                        });
//
// InvalidArgument if a tensor cannot be viewed or if they lie on several devices; Unavailable where CUDA has no context
// to give.
absl::Status CallOnTensors(absl::Span<const NamedTensor> tensors,
                           absl::FunctionRef<absl::Status(absl::Span<halide_buffer_t* const>, const Device&)> op);

}  // namespace retort::ops::torch
