// Resizes what it reads: for tests in other languages. Each record on the standard input is 15 i32, H W C, then box
// (top left height width), resized size, window (top left), size of the view, flip, filter (place in Filter), then
// H*W*C bytes; the view's bytes go to the standard output.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"

#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"
#include "retort/ops/resize/resize.h"

int main() {
  namespace ops = retort::ops;
  using Halide::Runtime::Buffer;
  int32_t r[15];
  while (std::fread(r, sizeof(r), 1, stdin) == 1) {
    std::vector<uint8_t> image(static_cast<size_t>(r[0]) * static_cast<size_t>(r[1]) * static_cast<size_t>(r[2]));
    std::vector<uint8_t> view(static_cast<size_t>(r[11]) * static_cast<size_t>(r[12]) * static_cast<size_t>(r[2]));
    if (std::fread(image.data(), 1, image.size(), stdin) != image.size()) return 1;
    ops::CropResizeParams params;
    params.top = r[3];
    params.left = r[4];
    params.height = r[5];
    params.width = r[6];
    params.resized_height = r[7];
    params.resized_width = r[8];
    params.window_top = r[9];
    params.window_left = r[10];
    params.flip = r[13];
    const halide_dimension_t dimensions[] = {{0, r[12], r[2]}, {0, r[11], r[12] * r[2]}, {0, r[2], 1}, {0, 1, 0}};
    Buffer<uint8_t, 3> source(image.data(), r[2], r[1], r[0]);
    const absl::Status status =
        ops::CropResize({source.raw_buffer()}, {params}, static_cast<ops::Filter>(r[14]), nullptr, nullptr, nullptr,
                        Buffer<uint8_t, 4>(view.data(), 4, dimensions));
    if (!status.ok()) {
      std::cerr << status << std::endl;
      return 1;
    }
    std::fwrite(view.data(), 1, view.size(), stdout);
    std::fflush(stdout);
  }
  return 0;
}
