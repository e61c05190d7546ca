#include "retort/ops/batch_assembly_oracle.h"

namespace retort::ops {

void BatchAssemblyOracle(const uint8_t* images, int64_t height, int64_t width, int64_t channels, const int64_t* index,
                         const BatchAssemblyParams* params, int64_t batch, const float* scale, const float* offset,
                         float* output, const std::array<int64_t, 4>& stride) {
  for (int64_t b = 0; b < batch; ++b) {
    const uint8_t* image = images + index[b] * height * width * channels;
    for (int64_t y = 0; y < height; ++y) {
      const int64_t from_y = y + params[b].dy;
      for (int64_t x = 0; x < width; ++x) {
        const int64_t from_x = (params[b].flip != 0 ? width - 1 - x : x) + params[b].dx;
        const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
        for (int64_t c = 0; c < channels; ++c) {
          const float pixel = inside ? image[(from_y * width + from_x) * channels + c] : 0.0f;
          const float product = pixel * scale[c];
          output[b * stride[0] + c * stride[1] + y * stride[2] + x * stride[3]] = product + offset[c];
        }
      }
    }
  }
}

}  // namespace retort::ops
