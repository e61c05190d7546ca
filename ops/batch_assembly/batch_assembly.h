// From indices to a batch of cropped, mirrored, erased, normalised and mixed images, in one pass.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/device.h"

namespace retort::ops {

//   view[b,c,y,x] = 0 within params[b].erase, otherwise pixel * scale[c] + offset[c],
//   pixel = images[index[b], y + dy, x' + dx, c], or `border` outside the image; x' = flip ? W-1-x : x; dy, dx, flip =
//   params[b]
//
// images  u8  [N,H,W,C]  may exceed 2^31 bytes
// index   i64 [B]        each in [0, N)
// params  i32 [B,7]      BatchAssemblyParams: dy and dx in -2^20..2^20, also beyond the image, unless it is reflected;
//                        flip 0 or 1
// scale   f32 [C]
// offset  f32 [C]
// output  f32, f16 or bf16 [B,C,H,W]
//
// Shapes are written outermost first: the last letter is dim[0] of the buffer. All strides are free. On the host, C of
// 1 or 3 with W of 16 and more, W (NCHW) or C (channels_last) of the output innermost and images of dense pixels or
// dense rows of planes is fast; on a GPU, rows (with channels_last, of pixels, from images of dense pixels) that are a
// multiple of 8 bytes and start at one. Product and sum are each rounded to f32
// and never fused, and the result is then rounded to the output's type, ties to even: the same on every processor and
// GPU, bit by bit, and for any number of threads. Images are divided among Halide's threads. Nothing but the output is
// as large as the batch.
//
// InvalidArgument for a buffer of the wrong type or shape or for params out of range, OutOfRange for an index beyond N;
// output is then untouched. On a device, indices and shifts out of range are clamped instead. On a GPU, B is at most
// 65,535.
absl::Status BatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                           halide_buffer_t* scale, halide_buffer_t* offset, Border border, halide_buffer_t* output,
                           const Device& device = {});

// mixup (Zhang et al. 2018, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899), in the same pass:
//
//   output[b] = view_1 within mix_box[b], otherwise lambda[b] * view_0 + (1 - lambda[b]) * view_1,
//
// view_s being what BatchAssembly makes of index[b,s] and params[b,s]. mixup has an empty box; CutMix has lambda = 1
// and, for its labels, weighs the second image by the box's share of the view's area. 1 - lambda, products and sum are
// each rounded to f32.
//
// index    i64 [B,2]
// params   i32 [B,2,7]
// lambda   f32 [B]      in [0, 1]
// mix_box  i32 [B,4]    Box
absl::Status MixedBatchAssembly(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params,
                                halide_buffer_t* lambda, halide_buffer_t* mix_box, halide_buffer_t* scale,
                                halide_buffer_t* offset, Border border, halide_buffer_t* output,
                                const Device& device = {});

// BatchAssembly without normalisation: pixels as they are, 0 where erased. For what has yet to work on pixels.
//
// output  u8 [B,H,W,C]
absl::Status CropBatch(halide_buffer_t* images, halide_buffer_t* index, halide_buffer_t* params, Border border,
                       halide_buffer_t* output, const Device& device = {});

}  // namespace retort::ops
