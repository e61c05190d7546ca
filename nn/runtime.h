// Settings of the process that tensor work depends on.
#pragma once

namespace retort::nn {

// Call once in main, before any tensor work:
//   * `threads` (at least 1) share one tensor operation. Sums are split by thread: another number, other last digits.
//   * Freed memory stays with the process. By default the C library hands buffers of some MB back to the system, and
//     faulting their pages in again costs a training step 20 to 50 % of its time.
//   * Denormal numbers count as zero, so that vanishing gradients do not slow the optimiser down.
//   * Operations use their deterministic variant where there is a choice.
//
// Not in reach from here: GOMP_SPINCOUNT=5000 should be in the environment before the process starts. OpenMP threads
// otherwise spin for long at the end of each operation, which on a machine with other work slows everything several
// times over.
void ConfigureRuntime(int threads);

}  // namespace retort::nn
