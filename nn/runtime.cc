#include "retort/nn/runtime.h"

#include <malloc.h>

#include <limits>

#include "ATen/Context.h"
#include "ATen/Parallel.h"

namespace retort::nn {

void ConfigureRuntime(int threads) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);

  at::set_num_threads(threads);
  at::globalContext().setFlushDenormal(true);
  at::globalContext().setDeterministicAlgorithms(/*b=*/true, /*warn_only=*/true);
  // Deterministic mode would otherwise fill every new tensor with NaN.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace retort::nn
