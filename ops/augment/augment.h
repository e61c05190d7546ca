// Augmentation steps on images of bytes, each with the bytes that Pillow gives.
#pragma once

#include "HalideRuntime.h"
#include "absl/status/status.h"

#include "retort/ops/device.h"

namespace retort::ops {

// Memory that Augment works in on a device, where it allocates nothing. Not needed on the host.
struct AugmentScratch {
  halide_buffer_t* images = nullptr;  // u8 [B,H,W,C] as the output's; where S > 1
  halide_buffer_t* tables = nullptr;  // u8 [B,C,256]
};

//   output[b] = step(records[b,S-1], ... step(records[b,0], images[b]))
//
// images  u8  [B,H,W,C]  C of 1 or 3, pixels dense (strides of C and W are 1 and C); H * W at most 2^24, H and W below
//                        2^15
// records i32 [B,S,8]    AugmentRecord, which says what each step computes; words dense
// output  u8  [B,H,W,C]  as images. On the host it may be images itself, but not overlap it otherwise; on a device it
//                        must be other memory
//
// Shapes are written outermost first. Other strides are free. The result does not depend on batch size, threads,
// instruction set or device: all is exact. On the host images are divided among Halide's threads, identity steps cost
// nothing, and beside the output each thread holds one image and one table. A device runs two kernels a step, with
// every record taken as it is; one that is not valid leaves its image alone or moves it somewhere, within bounds.
//
// InvalidArgument for a buffer of the wrong type, shape or place and, on the host, for a record that is not valid or
// whose matrix leads beyond +-2^15 pixels; output is then untouched. On a GPU, B is at most 65,535.
absl::Status Augment(halide_buffer_t* images, halide_buffer_t* records, halide_buffer_t* output,
                     const AugmentScratch& scratch = {}, const Device& device = {});

}  // namespace retort::ops
