// What a call takes of memory.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"

namespace retort::testing {

// How many pieces of at least `bytes` LibTorch's allocator on the processor hands out while `call` runs, on any thread.
// A copy of a tensor is one.
int TensorAllocations(size_t bytes, absl::FunctionRef<void()> call);

}  // namespace retort::testing
