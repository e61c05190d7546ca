#include "retort/testing/benchmarks.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"

#include "retort/testing/device_buffers.h"

namespace retort::testing {

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void InTurns(benchmark::State& state, double units, const char* unit, const std::function<void()>& ours,
             const char* other_name, const std::function<void()>& other) {
  std::vector<double> our_seconds, other_seconds, ratios;
  for (auto _ : state) {
    our_seconds.push_back(Seconds(ours));
    other_seconds.push_back(Seconds(other));
    ratios.push_back(other_seconds.back() / our_seconds.back());
    state.SetIterationTime(our_seconds.back());
  }
  state.counters[absl::StrCat(unit, "/s")] = units / Median(our_seconds);
  state.counters[other_name] = units / Median(other_seconds);
  state.counters["ratio"] = Median(ratios);
  state.counters["least"] = *std::min_element(ratios.begin(), ratios.end());
  state.counters["greatest"] = *std::max_element(ratios.begin(), ratios.end());
}

void OnDevice(benchmark::State& state, ops::Device::Kind kind, const std::vector<halide_buffer_t*>& buffers,
              const Work& work, const std::function<absl::Status(const ops::Device& device)>& call) {
  if (!IsThere(kind)) {
    state.SkipWithError("no such device here");
    return;
  }
  for (halide_buffer_t* buffer : buffers) ToDevice(kind, buffer);
  constexpr int kCalls = 50;
  for (auto _ : state) {
    for (int i = 0; i < kCalls; ++i) {
      if (const absl::Status status = call({kind}); !status.ok()) {
        state.SkipWithError(status.ToString().c_str());
        return;
      }
    }
    halide_device_sync(nullptr, buffers.back());
  }
  const auto calls = static_cast<double>(state.iterations()) * kCalls;
  state.counters[absl::StrCat(work.unit, "/s")] = benchmark::Counter(calls * work.units, benchmark::Counter::kIsRate);
  state.counters["bytes/s"] = benchmark::Counter(calls * work.bytes, benchmark::Counter::kIsRate);
}

}  // namespace retort::testing
