#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "retort/ops/call_halide.h"
#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"
#include "retort/testing/smoke/add_one.h"
#include "retort/testing/smoke/add_one_cuda.h"
#include "retort/testing/smoke/add_one_opencl.h"

namespace retort::ops {
namespace {

class AddOneTest : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(AddOneTest, AddsOne) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const int n : {1, 3, 64, 1000}) {
    Halide::Runtime::Buffer<float, 1> a(n), y(n);
    a.for_each_element([&](int i) { a(i) = static_cast<float>(i); });
    y.fill(-1);
    testing::ToDevice(GetParam(), a);
    testing::ToDevice(GetParam(), y);
    ASSERT_EQ(
        CallHalide("add_one", {GetParam()}, add_one, add_one_cuda, add_one_opencl, a.raw_buffer(), y.raw_buffer()),
        absl::OkStatus());
    testing::ToHost(GetParam(), y);
    for (int i = 0; i < n; ++i) EXPECT_EQ(y(i), static_cast<float>(i + 1)) << "n = " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AddOneTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

}  // namespace
}  // namespace retort::ops
