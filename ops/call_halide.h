// Generated functions with absl::Status instead of codes and aborts.
#pragma once

#include "HalideRuntime.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/device.h"

namespace retort::ops {

// Runs `call`, which calls one generated function and returns its code. A refusal by the function's own checks is an
// Internal error with Halide's text, since the op's C++ front ought to have found it; ResourceExhausted if memory ran
// out. `op` names the function in the error.
//
// Installs, once, process-wide handlers: of errors, since the default one ends the program, and of CUDA contexts and
// streams, so that CudaContext is heard.
absl::Status CallHalide(absl::string_view op, absl::FunctionRef<int()> call);

// The same for whichever of an op's three functions `device` asks for; halide_op in //tools/bazel:halide.bzl makes
// them.
//
//   return CallHalide("blur", device, blur, blur_cuda, blur_opencl, input, radius, output);
template <typename... Parameters, typename... Arguments>
absl::Status CallHalide(absl::string_view op, const Device& device, int (*host)(Parameters...),
                        int (*cuda)(const void*, Parameters...), int (*opencl)(const void*, Parameters...),
                        Arguments... arguments) {
  return CallHalide(op, [&] {
    switch (device.kind) {
      case Device::Kind::kHost:
        return host(arguments...);
      case Device::Kind::kCuda:
        return cuda(device.cuda, arguments...);
      case Device::Kind::kOpenCl:
        return opencl(nullptr, arguments...);
    }
    return static_cast<int>(halide_error_code_generic_error);
  });
}

}  // namespace retort::ops
