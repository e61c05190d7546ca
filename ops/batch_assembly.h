// From indices to a batch of normalised, cropped and mirrored images, in one pass.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

namespace retort::ops {

//   output[b,c,y,x] = pixel * scale[c] + offset[c],
//   pixel = images[index[b], y + dy, x' + dx, c], or 0 outside the image; x' = flip ? W-1-x : x; dy, dx, flip =
//   params[b]
//
// images  u8  [N,H,W,C]  pixels dense (strides of C and W are 1 and C); may exceed 2^31 bytes
// index   i64 [B]        each in [0, N)
// params  i32 [B,3]      BatchAssemblyParams: dy and dx in -2^20..2^20, also beyond the image; flip 0 or 1
// scale   f32 [C]
// offset  f32 [C]
// output  f32 [B,C,H,W]  fast with C of 1, 3 or 4, W of 16 and more, and W (NCHW) or C (channels_last) innermost
//
// Shapes are written outermost first: the last letter is dim[0] of the buffer. All other strides are free. The buffers
// lie on the host. Product and sum are each rounded to f32 and never fused: the result is the same, bit by bit, on
// every processor and for any number of threads. Images are divided among Halide's threads.
//
// InvalidArgument for a buffer of the wrong type or shape or for params out of range, OutOfRange for an index beyond N;
// output is then untouched.
absl::Status BatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                           halide_buffer_t* scale, halide_buffer_t* offset, halide_buffer_t* output);

}  // namespace retort::ops
