#include "retort/ops/torch/cuda_context.h"

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#if RETORT_CUDA
#include <dlfcn.h>

#include <array>
#include <mutex>

#include "c10/cuda/CUDAStream.h"
#endif

namespace retort::ops::torch {

#if RETORT_CUDA
namespace {

// Of CUDA's driver, which is only there where a GPU is: found by name, as LibTorch and Halide find it.
template <typename Function>
Function* DriverFunction(const char* name) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  return driver == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(driver, name));
}

// The primary context, kept for the life of the program as LibTorch keeps it; null if the driver refuses.
void* PrimaryContext(int ordinal) {
  static std::mutex mutex;
  static std::array<void*, 64> contexts = {};
  const std::lock_guard<std::mutex> lock(mutex);
  void*& context = contexts.at(static_cast<size_t>(ordinal));
  if (context != nullptr) return context;
  auto* get_device = DriverFunction<int(int*, int)>("cuDeviceGet");
  auto* retain = DriverFunction<int(void**, int)>("cuDevicePrimaryCtxRetain");
  int device = 0;
  if (get_device == nullptr || retain == nullptr || get_device(&device, ordinal) != 0) return nullptr;
  if (retain(&context, device) != 0) context = nullptr;
  return context;
}

}  // namespace

absl::StatusOr<CudaContext> CurrentCudaContext(const c10::Device& device) {
  void* context = PrimaryContext(device.index());
  if (context == nullptr) {
    return absl::UnavailableError(
        absl::StrFormat("CUDA's driver gives no context for %s; see what nvidia-smi says", device.str()));
  }
  return CudaContext{context, c10::cuda::getCurrentCUDAStream(device.index()).stream()};
}
#else
absl::StatusOr<CudaContext> CurrentCudaContext(const c10::Device& device) {
  return absl::UnavailableError(absl::StrFormat(
      "a tensor is on %s, but this program was built without CUDA; build it with --config=cuda", device.str()));
}
#endif

}  // namespace retort::ops::torch
