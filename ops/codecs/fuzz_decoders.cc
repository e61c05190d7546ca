// The three decoders; see retort_cc_fuzz.
#include <cstddef>
#include <cstdint>

#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/decode_jpeg.h"
#include "retort/ops/codecs/decode_png.h"
#include "retort/ops/codecs/decode_webp.h"

namespace {

// Decodes with small limits, and looks at each pixel.
template <typename Decoder>
void Try(Decoder decode, const uint8_t* data, size_t size, retort::ops::DecodeOptions options) {
  options.max_pixels = 1 << 16;
  const absl::StatusOr<retort::ops::Image> image = decode({data, size}, options);
  if (!image.ok()) return;
  uint8_t sum = 0;
  for (const uint8_t pixel : image->pixels) sum = static_cast<uint8_t>(sum + pixel);
  volatile uint8_t kept = sum;
  static_cast<void>(kept);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto below = [size](size_t end) { return static_cast<int>(size % end); };
  retort::ops::DecodeOptions small, region;
  if (size % 2 != 0) small.min_height = small.min_width = below(40);
  region.region = {below(19), below(23), 1 + below(7), 1 + below(11)};
  static_cast<void>(retort::ops::ReadImageSize({data, size}));
  // Each decoder is tried by itself too: it must not rely on the first bytes that DecodeImage looks at.
  Try(retort::ops::DecodeImage, data, size, small);
  Try(retort::ops::DecodeImage, data, size, region);
  Try(retort::ops::DecodeJpeg, data, size, {});
  Try(retort::ops::DecodePng, data, size, {});
  Try(retort::ops::DecodeWebP, data, size, {});
  return 0;
}
