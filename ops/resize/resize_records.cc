// Resizes what it reads: for tests in other languages. Each record on the standard input is 20 i32, H W C, then box
// (top left height width), resized size, window (top left), size of the view, flip, filter (place in Filter), rectangle
// to erase (top left height width), and whether to normalise; where so, C f32 each of scale, offset and what is left
// where the view is erased; then H*W*C bytes. To the standard output goes the view, u8 [H,W,C], or normalised f32
// [C,H,W].
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"

#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"
#include "retort/ops/resize/resize.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;

struct Record {
  int32_t image_height, image_width, channels;
  int32_t top, left, height, width;
  int32_t resized_height, resized_width;
  int32_t window_top, window_left;
  int32_t view_height, view_width;
  int32_t flip, filter;
  int32_t erase_top, erase_left, erase_height, erase_width;
  int32_t normalise;
};
static_assert(sizeof(Record) == 20 * sizeof(int32_t));

template <typename T>
std::vector<T> Read(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  values.resize(std::fread(values.data(), sizeof(T), values.size(), stdin));
  return values;
}

template <typename T>
absl::Status Answer(Buffer<uint8_t, 3> image, const CropResizeParams& params, Filter filter, halide_buffer_t* scale,
                    halide_buffer_t* offset, halide_buffer_t* erased, Buffer<T, 4> view) {
  const absl::Status status =
      CropResize({image.raw_buffer()}, {params}, filter, scale, offset, erased, view.raw_buffer());
  if (status.ok()) std::fwrite(view.data(), sizeof(T), view.number_of_elements(), stdout);
  std::fflush(stdout);
  return status;
}

absl::Status Resize(const Record& r) {
  std::vector<float> numbers = Read<float>(r.normalise != 0 ? 3 * r.channels : 0);
  std::vector<uint8_t> pixels = Read<uint8_t>(int64_t{r.image_height} * r.image_width * r.channels);
  const CropResizeParams params = {.top = r.top,
                                   .left = r.left,
                                   .height = r.height,
                                   .width = r.width,
                                   .resized_height = r.resized_height,
                                   .resized_width = r.resized_width,
                                   .window_top = r.window_top,
                                   .window_left = r.window_left,
                                   .flip = r.flip,
                                   .erase_top = r.erase_top,
                                   .erase_left = r.erase_left,
                                   .erase_height = r.erase_height,
                                   .erase_width = r.erase_width};
  const Buffer<uint8_t, 3> image(pixels.data(), r.channels, r.image_width, r.image_height);
  const Filter filter = static_cast<Filter>(r.filter);
  if (r.normalise != 0) {
    const auto one = [&](int which) {
      return Buffer<float, 1>(&numbers[static_cast<size_t>(which * r.channels)], r.channels);
    };
    return Answer(image, params, filter, one(0), one(1), one(2),
                  Buffer<float, 4>(r.view_width, r.view_height, r.channels, 1));
  }
  Buffer<uint8_t, 4> view(r.channels, r.view_width, r.view_height, 1);
  view.transpose({2, 0, 1, 3});
  return Answer(image, params, filter, nullptr, nullptr, nullptr, view);
}

int Main() {
  Record record;
  while (std::fread(&record, sizeof(record), 1, stdin) == 1) {
    if (const absl::Status status = Resize(record); !status.ok()) {
      std::cerr << status << std::endl;
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace retort::ops

int main() { return retort::ops::Main(); }
