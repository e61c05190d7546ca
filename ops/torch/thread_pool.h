// One pool of threads for LibTorch and Halide.
#pragma once

namespace retort::ops::torch {

// From now on Halide's parallel loops run on LibTorch's intra-op threads (at::parallel_for): at::set_num_threads
// governs them, and a loop inside another parallel loop, of either, runs on the thread that meets it. Process-wide;
// calling it again does nothing. The functions of this folder call it themselves.
void UseTorchThreads();

}  // namespace retort::ops::torch
