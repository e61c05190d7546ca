#include "retort/ops/torch/resize.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/from_blob.h"
#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "retort/ops/codecs/image.h"
#include "retort/ops/device.h"
#include "retort/ops/resize/resize.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {
namespace {

using Buffers = absl::Span<halide_buffer_t* const>;

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

// Copies tables to the device of the first of `rest`, and calls op(tables there, scale, offset, erased, buffers of
// rest, device).
template <typename Op>
absl::Status CallOnTablesAnd(CropResizeTables tables, const at::Tensor& scale, const at::Tensor& offset,
                             const at::Tensor& erased, std::vector<NamedTensor> rest, Op op) {
  const size_t first = rest.size();
  const at::Tensor& leader = rest.front().tensor;
  const at::Device device = leader.defined() ? leader.device() : at::Device(at::kCPU);
  const at::Tensor x_first = OnDevice(tables.x_first, device), x_weight = OnDevice(tables.x_weight, device),
                   y_first = OnDevice(tables.y_first, device), y_weight = OnDevice(tables.y_weight, device),
                   erase = OnDevice(tables.erase, device);
  for (const NamedTensor& table :
       {NamedTensor{"x_first", x_first}, NamedTensor{"x_weight", x_weight}, NamedTensor{"y_first", y_first},
        NamedTensor{"y_weight", y_weight}, NamedTensor{"erase", erase}}) {
    rest.push_back(table);
  }
  return CallOnNumbersAnd(scale, offset, erased, rest,
                          [&](auto* of_scale, auto* of_offset, auto* of_erased, Buffers b, const Device& on) {
                            const Buffers t = b.subspan(first);
                            CropResizeTables there = {Table<2>(t[0]), Table<3>(t[1]), Table<2>(t[2]), Table<3>(t[3]),
                                                      Table<2>(t[4]), tables.x_taps,  tables.y_taps};
                            return op(there, of_scale, of_offset, of_erased, b.first(first), on);
                          });
}

ImageSize SizeOf(const at::Tensor& images) {
  return {static_cast<int>(images.size(-3)), static_cast<int>(images.size(-2))};
}

// Of views that `output` [B,C,H',W'] holds, of images of such sizes. What a device cannot see is refused here.
absl::StatusOr<CropResizeTables> TablesFor(const at::Tensor& output, absl::Span<const CropResizeParams> params,
                                           Filter filter, absl::Span<const ImageSize> images) {
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
  return MakeCropResizeTables(params, filter, images, static_cast<int>(output.size(2)),
                              static_cast<int>(output.size(3)));
}

bool Has(const at::Tensor& tensor, int64_t dimensions) { return tensor.defined() && tensor.dim() == dimensions; }

bool OnCuda(const at::Tensor& tensor) { return tensor.defined() && tensor.is_cuda(); }

}  // namespace

absl::Status Resize(const at::Tensor& image, Filter filter, const at::Tensor& output) {
  if (!OnCuda(output)) {
    return CallOnTensors({{"image", image}, {"output", output}},
                         [filter](Buffers b, const Device& /*device*/) { return ops::Resize(b[0], filter, b[1]); });
  }
  // Tensors of other shapes are refused before tables are looked at.
  absl::StatusOr<CropResizeTables> tables = CropResizeTables();
  if (Has(image, 3) && Has(output, 3)) {
    tables =
        MakeResizeTables(filter, SizeOf(image), static_cast<int>(output.size(0)), static_cast<int>(output.size(1)));
  }
  if (!tables.ok()) return tables.status();
  return CallOnTablesAnd(*std::move(tables), {}, {}, {}, {{"image", image}, {"output", output}},
                         [](CropResizeTables& on_device, auto*, auto*, auto*, Buffers b, const Device& device) {
                           return ops::Resize(b[0], on_device, b[1], device);
                         });
}

absl::Status CropResize(absl::Span<const at::Tensor> images, absl::Span<const CropResizeParams> params, Filter filter,
                        const at::Tensor& scale, const at::Tensor& offset, const at::Tensor& erased,
                        const at::Tensor& output) {
  std::vector<std::string> names;
  for (size_t b = 0; b < images.size(); ++b) names.push_back(absl::StrCat("images[", b, "]"));
  std::vector<NamedTensor> tensors = {{"output", output}};
  for (size_t b = 0; b < images.size(); ++b) tensors.push_back({names[b], images[b]});
  if (!OnCuda(output)) {
    return CallOnNumbersAnd(scale, offset, erased, tensors,
                            [&](auto* of_scale, auto* of_offset, auto* of_erased, Buffers b, const Device& /*device*/) {
                              return ops::CropResize(b.subspan(1), params, filter, of_scale, of_offset, of_erased,
                                                     b[0]);
                            });
  }
  absl::StatusOr<CropResizeTables> tables = CropResizeTables();
  if (Has(output, 4) && std::all_of(images.begin(), images.end(), [](const auto& image) { return Has(image, 3); })) {
    std::vector<ImageSize> sizes;
    for (const at::Tensor& image : images) sizes.push_back(SizeOf(image));
    tables = TablesFor(output, params, filter, sizes);
  }
  if (!tables.ok()) return tables.status();
  return CallOnTablesAnd(*std::move(tables), scale, offset, erased, tensors,
                         [](CropResizeTables& on_device, auto* of_scale, auto* of_offset, auto* of_erased, Buffers b,
                            const Device& device) {
                           return ops::CropResize(b.subspan(1), on_device, of_scale, of_offset, of_erased, b[0],
                                                  device);
                         });
}

absl::Status CropResizeResident(const at::Tensor& images, const at::Tensor& index,
                                absl::Span<const CropResizeParams> params, Filter filter, const at::Tensor& scale,
                                const at::Tensor& offset, const at::Tensor& erased, const at::Tensor& output) {
  absl::StatusOr<CropResizeTables> tables = CropResizeTables();
  if (Has(images, 4) && Has(output, 4)) tables = TablesFor(output, params, filter, {SizeOf(images)});
  if (!tables.ok()) return tables.status();
  return CallOnTablesAnd(
      *std::move(tables), scale, offset, erased, {{"images", images}, {"index", index}, {"output", output}},
      [](CropResizeTables& on_device, auto* of_scale, auto* of_offset, auto* of_erased, Buffers b,
         const Device& device) {
        return ops::CropResizeResident(b[0], b[1], on_device, of_scale, of_offset, of_erased, b[2], device);
      });
}

}  // namespace retort::ops::torch
