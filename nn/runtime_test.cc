#include "retort/nn/runtime.h"

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "gtest/gtest.h"

namespace retort::nn {
namespace {

TEST(ConfigureRuntimeTest, SetsThreadsAndFlushesDenormals) {
  ConfigureRuntime(2);
  EXPECT_EQ(at::get_num_threads(), 2);
  // Enough elements for both threads.
  const at::Tensor tiny = at::full({1 << 18}, 1e-30f) * 1e-10f;
  EXPECT_EQ(tiny.count_nonzero().item<int64_t>(), 0);
}

}  // namespace
}  // namespace retort::nn
