// The same test on the host, on OpenCL (on a machine without a GPU, PoCL) and on CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "HalideRuntime.h"
#include "gtest/gtest.h"

#include "retort/ops/device.h"

namespace retort::testing {

// Parameters of a TestWithParam<ops::Device::Kind>, and the names of its instances.
inline constexpr ops::Device::Kind kDevices[] = {ops::Device::Kind::kHost, ops::Device::Kind::kOpenCl,
                                                 ops::Device::Kind::kCuda};
std::string DeviceName(const ::testing::TestParamInfo<ops::Device::Kind>& instance);

// Whether this machine has one that works. Where it has none, a test says GTEST_SKIP() << "no CUDA device here".
bool IsThere(ops::Device::Kind kind);

// Gives a buffer memory on the device with what it holds on the host; nothing to do for the host itself. Ends the test
// program if the device refuses. A Halide::Runtime::Buffer frees that memory when it ends.
void ToDevice(ops::Device::Kind kind, halide_buffer_t* buffer);

// Copies what an op wrote on the device back to the host. A test fails where an op has taken memory there (all that was
// ever taken, ToDevice took), or has worked on the host instead.
void ToHost(ops::Device::Kind kind, halide_buffer_t* buffer);

// Buffers that say to be on a device and are not, as long as this lives: for calls to be refused before they look.
class PretendedDeviceMemory {
 public:
  explicit PretendedDeviceMemory(std::vector<halide_buffer_t*> buffers) : buffers_(std::move(buffers)) {
    uint64_t handle = 0;
    for (halide_buffer_t* buffer : buffers_) buffer->device = ++handle;
  }
  ~PretendedDeviceMemory() {
    for (halide_buffer_t* buffer : buffers_) buffer->device = 0;
  }
  PretendedDeviceMemory(const PretendedDeviceMemory&) = delete;
  PretendedDeviceMemory& operator=(const PretendedDeviceMemory&) = delete;

 private:
  std::vector<halide_buffer_t*> buffers_;
};

}  // namespace retort::testing
