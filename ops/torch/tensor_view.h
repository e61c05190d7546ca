// A tensor as Halide sees it.
#pragma once

#include <array>

#include "ATen/core/Tensor.h"
#include "HalideRuntime.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace retort::ops::torch {

// A halide_buffer_t over the memory of a tensor on cpu or cuda: nothing is copied or allocated, and the tensor's memory
// lives as long as the view. Any strides are taken as they are, so slices and channels_last tensors need no contiguous
// copy.
//
// Halide counts dimensions from the innermost: dim[0] is the tensor's last one. All minima are 0.
//
//   RETORT_ASSIGN_OR_RETURN(TensorView images, TensorView::Create("images", tensor));
//   absl::Status status = SomeOp(images.buffer(), ...);
class TensorView {
 public:
  static constexpr int kMaxDimensions = 8;

  // InvalidArgument if `tensor` is undefined, not dense on cpu or cuda, has more than kMaxDimensions dimensions, an
  // element type that Halide lacks, or an extent or stride beyond 2^31. `name` names the tensor in the error.
  static absl::StatusOr<TensorView> Create(absl::string_view name, const at::Tensor& tensor);

  // Valid while this object stays where it is. Halide's functions take their inputs as non-const, too.
  halide_buffer_t* buffer() {
    buffer_.dim = dimensions_.data();
    return &buffer_;
  }

 private:
  explicit TensorView(const at::Tensor& tensor) : tensor_(tensor) {}

  at::Tensor tensor_;
  std::array<halide_dimension_t, kMaxDimensions> dimensions_;
  halide_buffer_t buffer_ = {};
};

}  // namespace retort::ops::torch
