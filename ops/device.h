// Where an op runs.
#pragma once

#include "absl/strings/string_view.h"

namespace retort::ops {

// What Halide asks of a CUDA device before each call: LibTorch's primary context and current stream, say.
struct CudaContext {
  void* context = nullptr;  // CUcontext
  void* stream = nullptr;   // CUstream
};

// Where an op runs and where all its buffers lie. An op never copies between devices and allocates nothing on one.
//
// On the host every argument is checked, contents included. On a device contents cannot be seen from here: an index,
// say, is clamped to its range by the kernel instead. Work on a device is queued; results are there for whatever is
// queued on the same stream afterwards.
struct Device {
  enum class Kind { kHost, kCuda, kOpenCl };

  Kind kind = Kind::kHost;
  // kCuda: where to work; without one, Halide's own context and default stream. Outlives the call. Otherwise null.
  const CudaContext* cuda = nullptr;
};

// "host", "CUDA", "OpenCL".
absl::string_view Name(Device::Kind kind);

}  // namespace retort::ops
