#include "retort/ops/batch_assembly.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

#include "retort/ops/batch_assembly_op.h"
#include "retort/ops/batch_assembly_params.h"
#include "retort/ops/call_halide.h"

namespace retort::ops {
namespace {

// Farther shifts show nothing else, and sums of coordinates stay far from 2^31.
constexpr int32_t kFarthestShift = 1 << 20;

// Extents, outermost first.
using Shape = std::vector<int>;

Shape ShapeOf(const halide_buffer_t& buffer) {
  Shape shape;
  for (int i = buffer.dimensions; i > 0; --i) shape.push_back(buffer.dim[i - 1].extent);
  return shape;
}

std::string ToString(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ","), "]"); }

absl::Status ExpectType(absl::string_view name, const halide_buffer_t* buffer, halide_type_t type, int dimensions) {
  if (buffer == nullptr) return absl::InvalidArgumentError(absl::StrCat("batch_assembly: ", name, " is missing"));
  if (buffer->type == type && buffer->dimensions == dimensions) return absl::OkStatus();
  constexpr absl::string_view kKinds[] = {"i", "u", "f", "handle", "bf"};
  return absl::InvalidArgumentError(absl::StrFormat("batch_assembly: %s has %d dimensions of %s%d; give %d of %s%d",
                                                    name, buffer->dimensions, kKinds[buffer->type.code],
                                                    static_cast<int>(buffer->type.bits), dimensions, kKinds[type.code],
                                                    static_cast<int>(type.bits)));
}

absl::Status ExpectShape(absl::string_view name, const halide_buffer_t& buffer, absl::string_view letters,
                         const Shape& wanted) {
  if (ShapeOf(buffer) != wanted) {
    return absl::InvalidArgumentError(absl::StrCat("batch_assembly: ", name, " has shape ", ToString(ShapeOf(buffer)),
                                                   "; give ", letters, " = ", ToString(wanted)));
  }
  return absl::OkStatus();
}

// Element i of dimension 0 and j of dimension 1.
template <typename T>
T At(const halide_buffer_t& buffer, int64_t i, int64_t j = 0) {
  return reinterpret_cast<const T*>(
      buffer.host)[i * buffer.dim[0].stride + (buffer.dimensions > 1 ? j * buffer.dim[1].stride : 0)];
}

absl::Status CheckArguments(const halide_buffer_t* images, const halide_buffer_t* index, const halide_buffer_t* params,
                            const halide_buffer_t* scale, const halide_buffer_t* offset,
                            const halide_buffer_t* output) {
  for (const absl::Status& status : {ExpectType("images", images, halide_type_of<uint8_t>(), 4),
                                     ExpectType("index", index, halide_type_of<int64_t>(), 1),
                                     ExpectType("params", params, halide_type_of<int32_t>(), 2),
                                     ExpectType("scale", scale, halide_type_of<float>(), 1),
                                     ExpectType("offset", offset, halide_type_of<float>(), 1),
                                     ExpectType("output", output, halide_type_of<float>(), 4)}) {
    if (!status.ok()) return status;
  }
  const Shape shape = ShapeOf(*images);
  const int size = shape[0], height = shape[1], width = shape[2], channels = shape[3];
  const int batch = index->dim[0].extent;
  for (const absl::Status& status :
       {ExpectShape("params", *params, "[B,3]", {batch, 3}), ExpectShape("scale", *scale, "[C]", {channels}),
        ExpectShape("offset", *offset, "[C]", {channels}),
        ExpectShape("output", *output, "[B,C,H,W]", {batch, channels, height, width})}) {
    if (!status.ok()) return status;
  }
  if (images->dim[0].stride != 1 || images->dim[1].stride != channels) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "batch_assembly: images has strides %d of C and %d of W; pixels must be dense, strides 1 and %d",
        images->dim[0].stride, images->dim[1].stride, channels));
  }
  for (int b = 0; b < batch; ++b) {
    const int64_t image = At<int64_t>(*index, b);
    if (image < 0 || image >= size) {
      return absl::OutOfRangeError(absl::StrFormat(
          "batch_assembly: index[%d] = %d, but images has %d; permitted are 0..%d", b, image, size, size - 1));
    }
    for (const int axis : {0, 1}) {
      const int32_t shift = At<int32_t>(*params, axis, b);
      if (shift < -kFarthestShift || shift > kFarthestShift) {
        return absl::InvalidArgumentError(
            absl::StrFormat("batch_assembly: %s of params[%d] is %d; permitted are -%d..%d", axis == 0 ? "dy" : "dx", b,
                            shift, kFarthestShift, kFarthestShift));
      }
    }
    const int32_t flip = At<int32_t>(*params, 2, b);
    if (flip != 0 && flip != 1) {
      return absl::InvalidArgumentError(
          absl::StrFormat("batch_assembly: flip of params[%d] is %d; permitted are 0 and 1", b, flip));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status BatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                           halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* output) {
  if (absl::Status status = CheckArguments(images, index, params, scale, offset, output); !status.ok()) return status;
  if (output->number_of_elements() == 0) return absl::OkStatus();
  return CallHalide("batch_assembly", [&] { return batch_assembly_op(images, index, params, scale, offset, output); });
}

}  // namespace retort::ops
