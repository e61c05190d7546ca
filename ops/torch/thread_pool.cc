// at::parallel_for is a template whose threads are an OpenMP pragma, so this file, and no other, is compiled with
// -fopenmp. What it then needs of OpenMP is in the library that LibTorch brings along: there is one OpenMP runtime in
// the process.
#include "retort/ops/torch/thread_pool.h"

#include <atomic>
#include <cstdint>

#include "ATen/Parallel.h"
#include "HalideRuntime.h"

#ifndef INTRA_OP_PARALLEL
#error "at::parallel_for would run on one thread: compile this file with -fopenmp."
#endif

namespace retort::ops::torch {
namespace {

// halide_do_par_for_t: 0, or the code of one of the tasks that failed.
int ParallelFor(void* user_context, halide_task_t task, int begin, int count, uint8_t* closure) {
  std::atomic<int> result{0};
  at::parallel_for(begin, begin + int64_t{count}, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      if (const int code = task(user_context, static_cast<int>(i), closure); code != 0) result = code;
    }
  });
  return result;
}

}  // namespace

void UseTorchThreads() {
  [[maybe_unused]] static const halide_do_par_for_t previous = halide_set_custom_do_par_for(&ParallelFor);
}

}  // namespace retort::ops::torch
