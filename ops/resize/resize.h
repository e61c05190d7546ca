// Antialiased resizing as Pillow does it, alone or fused with what makes a batch of it: crop, flip, normalise, erase.
#pragma once

#include <cstdint>
#include <vector>

#include "HalideBuffer.h"
#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"
#include "retort/ops/device.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"

namespace retort::ops {

// Two passes, along rows first, with weights of 22 bits behind the point (resample_weights.h); after each
//
//   pixel = min(max((2^21 + sum of weight * pixel) >> 22, 0), 255)
//
// Every pixel equals that of Pillow up to 12, bit by bit, for 8-bit images whose channels are independent (L, RGB,
// CMYK; Pillow multiplies colours by alpha first, which a caller who wants it does himself). Pillow 12 has other pixels
// for a box more than 100 times as high as wide that shrinks in height, of which it takes columns first; 13.0 for any
// that shrinks much more one way than the other.
//
// image   u8 [H,W,C]    C <= 4; any strides, that of W 1 or more. On the host dense pixels are fastest, planes take
// their
//                       channels one after the other
// output  u8 [H',W',C]  any strides
//
// InvalidArgument for a buffer of the wrong type or shape; output is then untouched. On the host; see below for
// devices.
absl::Status Resize(halide_buffer_t* image, Filter filter, halide_buffer_t* output);

// Images of any sizes to one batch. With pixel = the view that params[b] describe of images[b], resized as above,
//
//   output[b,c,y,x] = erased[c] within the rectangle to erase, otherwise pixel * scale[c] + offset[c]
//
// images  B of u8 [H,W,C]   H and W of each its own, otherwise as above
// params  B                 see crop_resize_params.h
// scale   f32 [C]           finite
// offset  f32 [C]           finite
// erased  f32 [C]           finite; 0 is what torchvision's RandomErasing(value=0) leaves after Normalize
// output  f32, f16, bf16, or u8 for the pixels themselves; [B,C,H',W'], any strides; fast with W' (NCHW) or, of 3
//         channels, C (channels_last) innermost. With u8, scale, offset and erased are null, and nothing can be erased.
//
// Product and sum are each rounded to f32, then to the output's type (to nearest, ties to even): the result is the
// same, bit by bit, on every processor and for any number of threads. Images are divided among Halide's threads. Beside
// the output, each thread takes memory for its image's rows, (box height) * W' * C bytes.
//
// InvalidArgument names the faulty argument; output is then untouched. On the host; see below for devices.
absl::Status CropResize(absl::Span<halide_buffer_t* const> images, absl::Span<const CropResizeParams> params,
                        Filter filter, halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                        halide_buffer_t* output);

// What views need, as buffers that a device can hold. T and U are the most taps of any view.
struct CropResizeTables {
  Halide::Runtime::Buffer<int32_t, 2> x_first{0, 0};      // [B,W']
  Halide::Runtime::Buffer<int32_t, 3> x_weight{0, 0, 0};  // [B,W',T]
  Halide::Runtime::Buffer<int32_t, 2> y_first{0, 0};      // [B,H']
  Halide::Runtime::Buffer<int32_t, 3> y_weight{0, 0, 0};  // [B,H',U]
  Halide::Runtime::Buffer<int32_t, 2> erase{0, 0};        // [B,4]: top, left, height, width
  std::vector<int> x_taps, y_taps;                        // B of 1..T and of 1..U, read on the host
};

// Tables on the host for views of height x width, of images that all have the one size given or each its own; sides are
// 1..2^24. InvalidArgument for other sides, and where CropResize would refuse the params.
absl::StatusOr<CropResizeTables> MakeCropResizeTables(absl::Span<const CropResizeParams> params, Filter filter,
                                                      absl::Span<const ImageSize> images, int height, int width);

// The same for a whole image that is resized to height x width.
absl::StatusOr<CropResizeTables> MakeResizeTables(Filter filter, ImageSize image, int height, int width);

// Resize and CropResize on any device, where images, tables and the rest lie; the same numbers to the bit. On a GPU
// each image is a launch, and no memory is taken there.
//
// The host refuses tables that lead out of an image or erase pixels (InvalidArgument); a device clamps the former and
// erases nothing of pixels. A GPU takes H' up to 524,280.
absl::Status Resize(halide_buffer_t* image, CropResizeTables& tables, halide_buffer_t* output,
                    const Device& device = {});
absl::Status CropResize(absl::Span<halide_buffer_t* const> images, CropResizeTables& tables, halide_buffer_t* scale,
                        halide_buffer_t* offset, halide_buffer_t* erased, halide_buffer_t* output,
                        const Device& device = {});

// CropResize of images of one size, by index: on a GPU all views in one launch.
//
// images  u8  [N,H,W,C]  strides as above
// index   i64 [B]        each in [0, N)
//
// The host refuses an index out of range (OutOfRange), a device clamps it; tables as above. A GPU takes B * C up to
// 65,535.
absl::Status CropResizeResident(halide_buffer_t* images, halide_buffer_t* index, CropResizeTables& tables,
                                halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* erased,
                                halide_buffer_t* output, const Device& device = {});

}  // namespace retort::ops
