#include "retort/ops/torch/tensor_view.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "HalideRuntimeCuda.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace retort::ops::torch {
namespace {

std::optional<halide_type_t> HalideType(at::ScalarType type) {
  switch (type) {
    case at::kBool:
      return halide_type_t(halide_type_uint, 1);
    case at::kByte:
      return halide_type_t(halide_type_uint, 8);
    case at::kChar:
      return halide_type_t(halide_type_int, 8);
    case at::kShort:
      return halide_type_t(halide_type_int, 16);
    case at::kInt:
      return halide_type_t(halide_type_int, 32);
    case at::kLong:
      return halide_type_t(halide_type_int, 64);
    case at::kHalf:
      return halide_type_t(halide_type_float, 16);
    case at::kBFloat16:
      return halide_type_t(halide_type_bfloat, 16);
    case at::kFloat:
      return halide_type_t(halide_type_float, 32);
    case at::kDouble:
      return halide_type_t(halide_type_float, 64);
    default:
      return std::nullopt;
  }
}

bool FitsHalide(int64_t number) {
  return number >= std::numeric_limits<int32_t>::min() && number <= std::numeric_limits<int32_t>::max();
}

}  // namespace

absl::StatusOr<TensorView> TensorView::Create(absl::string_view name, const at::Tensor& tensor) {
  if (!tensor.defined()) return absl::InvalidArgumentError(absl::StrFormat("tensor %s is undefined", name));
  const bool on_cuda = tensor.device().is_cuda();
  if (!(tensor.device().is_cpu() || on_cuda) || tensor.layout() != at::kStrided) {
    return absl::InvalidArgumentError(absl::StrFormat("tensor %s is %s on %s; permitted are dense ones on cpu or cuda",
                                                      name, tensor.layout() == at::kStrided ? "dense" : "not dense",
                                                      tensor.device().str()));
  }
  const std::optional<halide_type_t> type = HalideType(tensor.scalar_type());
  if (!type.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("tensor %s has elements of type %s; permitted are bool, integers and floats of up to 64 bits",
                        name, c10::toString(tensor.scalar_type())));
  }
  if (tensor.dim() > kMaxDimensions) {
    return absl::InvalidArgumentError(
        absl::StrFormat("tensor %s has %d dimensions; permitted are up to %d", name, tensor.dim(), kMaxDimensions));
  }

  TensorView view(tensor);
  if (on_cuda) {
    view.buffer_.device = reinterpret_cast<uint64_t>(tensor.data_ptr());
    view.buffer_.device_interface = halide_cuda_device_interface();
    view.buffer_.set_device_dirty();
  } else {
    view.buffer_.host = static_cast<uint8_t*>(tensor.data_ptr());
  }
  view.buffer_.type = *type;
  view.buffer_.dimensions = static_cast<int32_t>(tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    const int64_t from = tensor.dim() - 1 - i;
    if (!FitsHalide(tensor.size(from)) || !FitsHalide(tensor.stride(from))) {
      return absl::InvalidArgumentError(
          absl::StrFormat("tensor %s has extent %d and stride %d in dimension %d; permitted "
                          "are numbers below 2^31",
                          name, tensor.size(from), tensor.stride(from), from));
    }
    view.dimensions_[static_cast<size_t>(i)] = {0, static_cast<int32_t>(tensor.size(from)),
                                                static_cast<int32_t>(tensor.stride(from))};
  }
  return view;
}

}  // namespace retort::ops::torch
