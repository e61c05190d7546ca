// Weighted sums of images of bytes: what AugMix makes of its chains.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/device.h"

namespace retort::ops {

//   output[b,p] = sum_k weights[b,k] * images[b,k,p], clipped to 0..255 and truncated
//
// images  u8  [B,K,P]  K at least 1; P values of an image, in any order
// weights f32 [B,K]    each in [0,1]; the host refuses others, a device takes them as they are
// output  u8  [B,P]    memory of its own
//
// Shapes are written outermost first; strides are free, dense values are fast. Products and sums are each rounded to
// f32, added in the order of K: the same on every processor and GPU. With weights of Dirichlet distributions this is
// torchvision's AugMix, byte by byte. Hendrycks et al. 2020, arXiv 1912.02781.
//
// InvalidArgument for a buffer of the wrong type, shape or place, and on a GPU for a B beyond 65,535.
absl::Status MixImages(halide_buffer_t* images, halide_buffer_t* weights, halide_buffer_t* output,
                       const Device& device = {});

}  // namespace retort::ops
