#include "retort/ops/batch_assembly/batch_assembly_oracle.h"

namespace retort::ops {
namespace {

bool Contains(const Box& box, int64_t y, int64_t x) {
  return y >= box.top && y < box.bottom && x >= box.left && x < box.right;
}

// numpy's "reflect": ... 2 1 | 0 1 2 ... n-1 | n-2 ...
int64_t Reflect(int64_t i, int64_t n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

}  // namespace

float ViewOracle(const uint8_t* image, int64_t height, int64_t width, int64_t channels,
                 const BatchAssemblyParams& params, Border border, const float* scale, const float* offset, int64_t c,
                 int64_t y, int64_t x) {
  if (Contains(params.erase, y, x)) return 0;
  int64_t from_y = y + params.dy, from_x = (params.flip != 0 ? width - 1 - x : x) + params.dx;
  float pixel = 0;
  if (border == Border::kReflect) {
    from_y = Reflect(from_y, height);
    from_x = Reflect(from_x, width);
  }
  if (from_y >= 0 && from_y < height && from_x >= 0 && from_x < width) {
    pixel = image[(from_y * width + from_x) * channels + c];
  }
  if (scale == nullptr) return pixel;
  const float product = pixel * scale[c];
  return product + offset[c];
}

void BatchAssemblyOracle(const uint8_t* images, int64_t height, int64_t width, int64_t channels, const int64_t* index,
                         const BatchAssemblyParams* params, int64_t batch, const float* scale, const float* offset,
                         float* output, const std::array<int64_t, 4>& stride, Border border) {
  for (int64_t b = 0; b < batch; ++b) {
    const uint8_t* image = images + index[b] * height * width * channels;
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < channels; ++c) {
          output[b * stride[0] + c * stride[1] + y * stride[2] + x * stride[3]] =
              ViewOracle(image, height, width, channels, params[b], border, scale, offset, c, y, x);
        }
      }
    }
  }
}

}  // namespace retort::ops
