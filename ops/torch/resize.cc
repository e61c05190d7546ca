#include "retort/ops/torch/resize.h"

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/ops/from_blob.h"
#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "retort/ops/device.h"
#include "retort/ops/resize/resize.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {
namespace {

using Buffers = absl::Span<halide_buffer_t* const>;

// CallOnTensors for what normalises, in which an undefined tensor is an absent buffer, before other tensors:
// op(scale, offset, erased, buffers of rest, device).
template <typename Op>
absl::Status CallOnNumbersAnd(const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& erased,
                              const std::vector<NamedTensor>& rest, Op op) {
  std::vector<NamedTensor> tensors = rest;
  for (const NamedTensor& numbers :
       {NamedTensor{"scale", scale}, NamedTensor{"offset", offset}, NamedTensor{"erased", erased}}) {
    if (numbers.tensor.defined()) tensors.push_back(numbers);
  }
  return CallOnTensors(tensors, [&](Buffers buffers, const Device& device) {
    const Buffers of_rest = buffers.first(rest.size());
    buffers.remove_prefix(rest.size());
    const auto next = [&buffers](const at::Tensor& numbers) {
      if (!numbers.defined()) return static_cast<halide_buffer_t*>(nullptr);
      halide_buffer_t* buffer = buffers.front();
      buffers.remove_prefix(1);
      return buffer;
    };
    halide_buffer_t* const of_scale = next(scale);
    halide_buffer_t* const of_offset = next(offset);
    return op(of_scale, of_offset, next(erased), of_rest, device);
  });
}

// A table of the host's on `device` if that is CUDA, otherwise as it is. From pinned memory, which LibTorch keeps for
// as long as the copy takes, the stream copies without the host waiting.
template <int D>
at::Tensor OnDevice(Halide::Runtime::Buffer<int32_t, D>& table, at::Device device) {
  std::vector<int64_t> shape;
  for (int d = D - 1; d >= 0; --d) shape.push_back(table.dim(d).extent());
  const at::Tensor host = at::from_blob(table.data(), shape, at::kInt);
  return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host;
}

template <int D>
Halide::Runtime::Buffer<int32_t, D> Table(const halide_buffer_t* buffer) {
  return Halide::Runtime::Buffer<int32_t, D>(*buffer);
}

// What tables can be made from.
absl::Status CheckViews(const at::Tensor& output, absl::Span<const CropResizeParams> params) {
  if (static_cast<int64_t>(params.size()) != output.size(0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "crop_resize: there are %d params; give %d, as many as the output holds", params.size(), output.size(0)));
  }
  for (size_t b = 0; output.scalar_type() == at::kByte && b < params.size(); ++b) {
    if (params[b].erase_height != 0 && params[b].erase_width != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("crop_resize: params[%d] erases %dx%d, but erasing is for normalised outputs", b,
                          params[b].erase_height, params[b].erase_width));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Resize(const at::Tensor& image, Filter filter, const at::Tensor& output) {
  return CallOnTensors({{"image", image}, {"output", output}},
                       [filter](Buffers b, const Device& /*device*/) { return ops::Resize(b[0], filter, b[1]); });
}

absl::Status CropResize(absl::Span<const at::Tensor> images, absl::Span<const CropResizeParams> params, Filter filter,
                        const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& erased,
                        const at::Tensor& output) {
  std::vector<std::string> names;
  for (size_t b = 0; b < images.size(); ++b) names.push_back(absl::StrCat("images[", b, "]"));
  std::vector<NamedTensor> tensors = {{"output", output}};
  for (size_t b = 0; b < images.size(); ++b) tensors.push_back({names[b], images[b]});
  return CallOnNumbersAnd(scale, offset, erased, tensors,
                          [&](auto* of_scale, auto* of_offset, auto* of_erased, Buffers b, const Device& /*device*/) {
                            return ops::CropResize(b.subspan(1), params, filter, of_scale, of_offset, of_erased, b[0]);
                          });
}

absl::Status CropResizeResident(const at::Tensor& images, const at::Tensor& index,
                                absl::Span<const CropResizeParams> params, Filter filter, const at::Tensor& scale,
                                const at::Tensor& offset, const at::Tensor& erased, const at::Tensor& output) {
  std::vector<NamedTensor> tensors = {{"images", images}, {"index", index}, {"output", output}};
  // Tensors of other shapes are refused before tables are made.
  if (!images.defined() || images.dim() != 4 || !output.defined() || output.dim() != 4) {
    CropResizeTables none;
    return CallOnNumbersAnd(scale, offset, erased, tensors,
                            [&](auto* of_scale, auto* of_offset, auto* of_erased, Buffers b, const Device& device) {
                              return ops::CropResizeResident(b[0], b[1], none, of_scale, of_offset, of_erased, b[2],
                                                             device);
                            });
  }
  if (absl::Status status = CheckViews(output, params); !status.ok()) return status;
  absl::StatusOr<CropResizeTables> tables =
      MakeCropResizeTables(params, filter, static_cast<int>(images.size(1)), static_cast<int>(images.size(2)),
                           static_cast<int>(output.size(2)), static_cast<int>(output.size(3)));
  if (!tables.ok()) return tables.status();
  const at::Device device = images.device();
  const at::Tensor x_first = OnDevice(tables->x_first, device), x_weight = OnDevice(tables->x_weight, device),
                   y_first = OnDevice(tables->y_first, device), y_weight = OnDevice(tables->y_weight, device),
                   erase = OnDevice(tables->erase, device);
  for (const NamedTensor& table :
       {NamedTensor{"x_first", x_first}, NamedTensor{"x_weight", x_weight}, NamedTensor{"y_first", y_first},
        NamedTensor{"y_weight", y_weight}, NamedTensor{"erase", erase}}) {
    tensors.push_back(table);
  }
  return CallOnNumbersAnd(
      scale, offset, erased, tensors,
      [](auto* of_scale, auto* of_offset, auto* of_erased, Buffers b, const Device& on) {
        CropResizeTables of_tensors = {Table<2>(b[3]), Table<3>(b[4]), Table<2>(b[5]), Table<3>(b[6]), Table<2>(b[7])};
        return ops::CropResizeResident(b[0], b[1], of_tensors, of_scale, of_offset, of_erased, b[2], on);
      });
}

}  // namespace retort::ops::torch
