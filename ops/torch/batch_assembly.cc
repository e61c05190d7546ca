#include "retort/ops/torch/batch_assembly.h"

#include "ATen/MemoryOverlap.h"
#include "absl/status/statusor.h"

#include "retort/ops/batch_assembly.h"
#include "retort/ops/torch/tensor_view.h"
#include "retort/ops/torch/thread_pool.h"

namespace retort::ops::torch {

absl::Status BatchAssembly(const at::Tensor& images, const at::Tensor& index, const at::Tensor& params,
                           const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& output) {
  absl::StatusOr<TensorView> views[] = {TensorView::Create("images", images), TensorView::Create("index", index),
                                        TensorView::Create("params", params), TensorView::Create("scale", scale),
                                        TensorView::Create("offset", offset), TensorView::Create("output", output)};
  for (const absl::StatusOr<TensorView>& view : views) {
    if (!view.ok()) return view.status();
  }
  if (at::has_internal_overlap(output) == at::MemOverlap::Yes) {
    return absl::InvalidArgumentError(
        "tensor output is expanded: its elements share memory; give one that owns its elements");
  }
  UseTorchThreads();
  return ops::BatchAssembly(views[0]->buffer(), views[1]->buffer(), views[2]->buffer(), views[3]->buffer(),
                            views[4]->buffer(), views[5]->buffer());
}

}  // namespace retort::ops::torch
