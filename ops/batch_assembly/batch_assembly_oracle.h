// What batch_assembly.h says, pixel by pixel: the oracle of its tests and the peer of its benchmark.
#pragma once

#include <array>
#include <cstdint>

#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::ops {

// view[c,y,x] of one image, dense [height,width,channels]. Without scale and offset, the pixel itself.
float ViewOracle(const uint8_t* image, int64_t height, int64_t width, int64_t channels,
                 const BatchAssemblyParams& params, Border border, const float* scale, const float* offset, int64_t c,
                 int64_t y, int64_t x);

// `images` is dense [.,height,width,channels]. Element [b,c,y,x] goes to output[b * stride[0] + c * stride[1] + y *
// stride[2] + x * stride[3]].
void BatchAssemblyOracle(const uint8_t* images, int64_t height, int64_t width, int64_t channels, const int64_t* index,
                         const BatchAssemblyParams* params, int64_t batch, const float* scale, const float* offset,
                         float* output, const std::array<int64_t, 4>& stride, Border border = Border::kZero);

}  // namespace retort::ops
