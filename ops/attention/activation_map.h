// Attention maps of features, and their gradient.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/attention/activation_map_parameters.h"
#include "retort/ops/device.h"

namespace retort::ops {

// Of features f32 [B,C,H,W], with Q[b,y,x] as ActivationKind says, the map f32 [B,H,W]
//
//   q = Q / max(||Q_b||_2, 1e-12) over the places of a sample, or Q itself if not normalised.
//
// Source: Zagoruyko & Komodakis, arXiv 1612.03928.
//
// Shapes are written outermost first: the last letter is dim[0] of the buffer. Within a sample features are either
// planar (stride 1 of W) or interleaved (stride 1 of C); maps have stride 1 of W; all other strides are free. Fast
// where features and maps have rows that follow each other without a gap. A sample is read a second time while it lies
// in cache. f32 throughout, sums in 16 (on a GPU 128) parts: q is within 1e-5 of its largest value in a map, gradients
// within 1e-5 of the largest one. The same for any number of threads; processors differ within this tolerance.
//
// The length sums squares of Q. So that none overflows, features are in magnitude at most 1e16 (kMeanAbsolute,
// kMaximum), 1e8 (kMeanSquare) or 1e4 (kMeanFourth), in maps of up to 3,400,000 places. Where a sum overflows, as where
// a sample holds NaN, the sample's map and gradient are NaN, or with kMaximum numbers without meaning; other samples
// are left alone.
//
// Device: see ops/device.h. On a GPU a map has at most 4096 places (kMostPlacesOnDevice), counted as PlacesOnDevice
// does.
//
// InvalidArgument for a buffer of the wrong type, shape or strides, and where a size other than B is 0. An empty batch
// is permitted and writes nothing.
absl::Status ActivationMap(halide_buffer_t* features, const ActivationMapParameters& parameters, halide_buffer_t* map,
                           const Device& device = {});

// gradient f32 [B,C,H,W], by the features, of what has map_gradient f32 [B,H,W] by the map. `gradient` is planar or
// interleaved as the features are. Where F is 0, |F| has the slope 0; below the length 1e-12 the divisor is a constant.
absl::Status ActivationMapBackward(halide_buffer_t* features, halide_buffer_t* map_gradient,
                                   const ActivationMapParameters& parameters, halide_buffer_t* gradient,
                                   const Device& device = {});

}  // namespace retort::ops
