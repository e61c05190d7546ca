// Where exceptions of others' code end.
#pragma once

#include "absl/status/status.h"

namespace retort::pipelines {

// Of the exception that is being handled: call it in `catch (...)`. ResourceExhausted where there was no memory, on
// this machine or its accelerator; InvalidArgument where BatchNorm was trained on one value per channel; otherwise
// Internal. Each says what can be done.
absl::Status StatusOfException();

// What `run` returns, a Status or StatusOr, or the status of what it throws.
template <typename Run>
auto WithoutExceptions(const Run& run) -> decltype(run()) {
  try {
    return run();
  } catch (...) {
    return StatusOfException();
  }
}

}  // namespace retort::pipelines
