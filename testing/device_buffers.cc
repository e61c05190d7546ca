#include "retort/testing/device_buffers.h"

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "HalideBuffer.h"
#include "HalideRuntimeCuda.h"
#include "HalideRuntimeOpenCL.h"
#include "absl/status/status.h"

#include "retort/ops/call_halide.h"

namespace retort::testing {
namespace {

using ops::Device;

const halide_device_interface_t* Interface(Device::Kind kind) {
  return kind == Device::Kind::kCuda ? halide_cuda_device_interface() : halide_opencl_device_interface();
}

void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << std::endl;
  std::exit(1);
}

}  // namespace

std::string DeviceName(const ::testing::TestParamInfo<Device::Kind>& instance) {
  return std::string(ops::Name(instance.param));
}

bool IsThere(Device::Kind kind) {
  if (kind == Device::Kind::kHost) return true;
  Halide::Runtime::Buffer<uint8_t, 1> probe(1);
  return ops::CallHalide("probe", [&] { return probe.device_malloc(Interface(kind)); }).ok();
}

void ToDevice(Device::Kind kind, halide_buffer_t* buffer) {
  if (kind == Device::Kind::kHost || buffer->size_in_bytes() == 0) return;
  buffer->set_host_dirty();
  OrDie(ops::CallHalide("to device", [&] { return halide_copy_to_device(nullptr, buffer, Interface(kind)); }));
}

void ToHost(Device::Kind kind, halide_buffer_t* buffer) {
  if (kind == Device::Kind::kHost || buffer->size_in_bytes() == 0) return;
  OrDie(ops::CallHalide("to host", [&] { return halide_copy_to_host(nullptr, buffer); }));
}

}  // namespace retort::testing
