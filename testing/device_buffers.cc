#include "retort/testing/device_buffers.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "HalideRuntimeCuda.h"
#include "HalideRuntimeOpenCL.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/call_halide.h"

namespace retort::testing {
namespace {

using ops::Device;

const halide_device_interface_t* Interface(Device::Kind kind) {
  return kind == Device::Kind::kCuda ? halide_cuda_device_interface() : halide_opencl_device_interface();
}

// Of memory on devices: all in this process, and those that were for buffers.
std::atomic<int64_t> allocations = 0;
int64_t allocations_for_buffers = 0;

// The functions of the drivers that take memory, as Halide's runtime calls them.
using CreateBuffer = void*(void* context, uint64_t flags, size_t size, void* host, int32_t* error);
using MemAlloc = int(uint64_t* memory, size_t size);
CreateBuffer* create_buffer = nullptr;
MemAlloc* mem_alloc = nullptr;

void* CountedCreateBuffer(void* context, uint64_t flags, size_t size, void* host, int32_t* error) {
  ++allocations;
  return create_buffer(context, flags, size, host, error);
}

int CountedMemAlloc(uint64_t* memory, size_t size) {
  ++allocations;
  return mem_alloc(memory, size);
}

// What the runtime is to call instead of a driver's function.
void* Counted(absl::string_view name, void* function) {
  if (function == nullptr) return nullptr;
  if (name == "clCreateBuffer") {
    create_buffer = reinterpret_cast<CreateBuffer*>(function);
    return reinterpret_cast<void*>(&CountedCreateBuffer);
  }
  if (name == "cuMemAlloc_v2") {
    mem_alloc = reinterpret_cast<MemAlloc*>(function);
    return reinterpret_cast<void*>(&CountedMemAlloc);
  }
  return function;
}

// Before the runtime looks for the drivers.
void CountAllocations() {
  halide_set_custom_get_symbol([](const char* name) { return Counted(name, halide_default_get_symbol(name)); });
  halide_set_custom_get_library_symbol(
      [](void* library, const char* name) { return Counted(name, halide_default_get_library_symbol(library, name)); });
  // Nothing that was freed is given again unseen.
  halide_reuse_device_allocations(nullptr, false);
}

template <typename Call>
absl::Status ForBuffers(absl::string_view name, Call call) {
  const int64_t before = allocations;
  const absl::Status status = ops::CallHalide(name, call);
  allocations_for_buffers += allocations - before;
  return status;
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
  static std::once_flag counted;
  std::call_once(counted, CountAllocations);
  Halide::Runtime::Buffer<uint8_t, 1> probe(1);
  return ForBuffers("probe", [&] { return probe.device_malloc(Interface(kind)); }).ok();
}

void ToDevice(Device::Kind kind, halide_buffer_t* buffer) {
  if (kind == Device::Kind::kHost || buffer->number_of_elements() == 0) return;
  buffer->set_host_dirty();
  OrDie(ForBuffers("to device", [&] { return halide_copy_to_device(nullptr, buffer, Interface(kind)); }));
}

void ToHost(Device::Kind kind, halide_buffer_t* buffer) {
  if (kind == Device::Kind::kHost || buffer->number_of_elements() == 0) return;
  EXPECT_EQ(allocations, allocations_for_buffers) << "memory that an op took on the device";
  EXPECT_FALSE(buffer->host_dirty()) << "an op wrote on the host";
  OrDie(ops::CallHalide("to host", [&] { return halide_copy_to_host(nullptr, buffer); }));
}

}  // namespace retort::testing
