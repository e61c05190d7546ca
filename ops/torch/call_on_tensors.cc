#include "retort/ops/torch/call_on_tensors.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"

#include "retort/ops/torch/cuda_context.h"
#include "retort/ops/torch/tensor_view.h"
#include "retort/ops/torch/thread_pool.h"

namespace retort::ops::torch {

absl::Status CallOnTensors(absl::Span<const NamedTensor> tensors,
                           absl::FunctionRef<absl::Status(absl::Span<halide_buffer_t* const>, const Device&)> op) {
  std::vector<TensorView> views;
  views.reserve(tensors.size());
  for (const NamedTensor& named : tensors) {
    absl::StatusOr<TensorView> view = TensorView::Create(named.name, named.tensor);
    if (!view.ok()) return view.status();
    if (const NamedTensor& first = tensors.front(); named.tensor.device() != first.tensor.device()) {
      return absl::InvalidArgumentError(absl::StrFormat("tensor %s is on %s, but %s is on %s; give all on one device",
                                                        named.name, named.tensor.device().str(), first.name,
                                                        first.tensor.device().str()));
    }
    views.push_back(*std::move(view));
  }
  std::vector<halide_buffer_t*> buffers;
  for (TensorView& view : views) buffers.push_back(view.buffer());

  const at::Device device = tensors.front().tensor.device();
  if (device.is_cpu()) {
    UseTorchThreads();
    return op(buffers, {});
  }
  const absl::StatusOr<CudaContext> context = CurrentCudaContext(device);
  if (!context.ok()) return context.status();
  return op(buffers, {Device::Kind::kCuda, &*context});
}

}  // namespace retort::ops::torch
