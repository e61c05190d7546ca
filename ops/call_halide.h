// Generated functions with absl::Status instead of codes and aborts.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace retort::ops {

// Runs `call`, which calls one generated function and returns its code. A refusal by the function's own checks is an
// Internal error with Halide's text, since the op's C++ front ought to have found it; ResourceExhausted if memory ran
// out. `op` names the function in the error.
//
// Installs, once, a process-wide Halide error handler: the default one ends the program.
absl::Status CallHalide(absl::string_view op, absl::FunctionRef<int()> call);

}  // namespace retort::ops
