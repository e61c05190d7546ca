// Where LibTorch works on a GPU.
#pragma once

#include "absl/status/statusor.h"
#include "c10/core/Device.h"

#include "retort/ops/device.h"

namespace retort::ops::torch {

// LibTorch's context on `device`, which is CUDA's primary one, and this thread's current stream there. Unavailable if
// this program was built without CUDA (bazel build --config=cuda) or the driver refuses.
absl::StatusOr<CudaContext> CurrentCudaContext(const c10::Device& device);

}  // namespace retort::ops::torch
