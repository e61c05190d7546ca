#include <HalideBuffer.h>
#include <benchmark/benchmark.h>

#include "retort/testing/smoke/add_one.h"

namespace retort {
namespace {

void BM_AddOne(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0));
  Halide::Runtime::Buffer<float, 1> a(n), y(n);
  a.fill(0);
  for (auto _ : state) ops::add_one(a, y);
  state.SetBytesProcessed(state.iterations() * n * 8);
}
BENCHMARK(BM_AddOne)->Arg(1000)->Arg(1000000);

}  // namespace
}  // namespace retort

BENCHMARK_MAIN();
