#include "retort/testing/device_buffers.h"

#include <cstdint>

#include "HalideBuffer.h"
#include "HalideRuntimeCuda.h"
#include "HalideRuntimeOpenCL.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

#include "retort/ops/device.h"

namespace retort::testing {
namespace {

using ::Halide::Runtime::Buffer;
using Kind = ops::Device::Kind;

class DeviceBuffersTest : public ::testing::TestWithParam<Kind> {};

TEST_P(DeviceBuffersTest, NoticeMemoryThatIsTakenBesides) {
  if (!IsThere(GetParam())) GTEST_SKIP() << "no " << ops::Name(GetParam()) << " device here";
  Buffer<uint8_t, 1> first(8), second(8), hidden(8);
  ToDevice(GetParam(), first);
  ToDevice(GetParam(), second);
  ToHost(GetParam(), first);
  ASSERT_EQ(hidden.device_malloc(GetParam() == Kind::kCuda ? halide_cuda_device_interface()
                                                           : halide_opencl_device_interface()),
            0);
  EXPECT_NONFATAL_FAILURE(ToHost(GetParam(), second), "memory that an op took on the device");
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceBuffersTest, ::testing::Values(Kind::kOpenCl, Kind::kCuda), DeviceName);

}  // namespace
}  // namespace retort::testing
