// What benchmarks of ops share.
#pragma once

#include <functional>
#include <vector>

#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "benchmark/benchmark.h"

#include "retort/ops/device.h"

namespace retort::testing {

double Seconds(const std::function<void()>& work);

// The upper one of an even number.
double Median(std::vector<double> values);

// In each iteration one turn of `ours` and one of `other`; the iteration's time is ours. Counters: units a second of
// both (`units` are what a turn works off), named `unit` + "/s" and `other_name`, and the median, least and greatest
// ratio of a turn.
void InTurns(benchmark::State& state, double units, const char* unit, const std::function<void()>& ours,
             const char* other_name, const std::function<void()>& other);

// What one call works off.
struct Work {
  const char* unit;  // "images"
  double units;
  double bytes;  // read and written, at least
};

// Takes `buffers` to the device and times `call`, queued many times and then waited for. Counters: units and bytes a
// second. An error of the benchmark where there is no such device or the call fails.
void OnDevice(benchmark::State& state, ops::Device::Kind kind, const std::vector<halide_buffer_t*>& buffers,
              const Work& work, const std::function<absl::Status(const ops::Device& device)>& call);

}  // namespace retort::testing
