// What a call takes of memory, from outside.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace retort::testing {

// Bytes of the process in memory, whoever asked for them, less what there were before a call.
struct MemoryGrowth {
  int64_t peak = 0;       // the most while it ran, pages of files included
  int64_t anonymous = 0;  // afterwards, without pages of files
};

// Runs `call` and lets the kernel count, page by page; what was freed before is returned first, so that nothing is
// taken from it unseen. What is allocated once for a process, such as threads, counts if this call is the first.
MemoryGrowth GrowthOfMemory(absl::FunctionRef<void()> call);

}  // namespace retort::testing
