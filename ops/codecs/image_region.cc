#include "retort/ops/codecs/image_region.h"

#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace retort::ops {
namespace {

bool LiesWithin(int first, int length, int end) { return first >= 0 && length >= 1 && length <= end - first; }

}  // namespace

absl::StatusOr<Image> ImageToDecode(absl::string_view format, int64_t height, int64_t width,
                                    const DecodeOptions& options) {
  if (height < 1 || width < 1 || width > options.max_pixels / height) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s of %dx%d pixels (width x height); permitted are 1..%d pixels, raise max_pixels if the file "
                        "is to be trusted",
                        format, width, height, options.max_pixels));
  }
  Image image;
  image.height = image.file_height = static_cast<int>(height);
  image.width = image.file_width = static_cast<int>(width);
  const ImageRegion& region = options.region;
  if (region.top == 0 && region.left == 0 && region.height == 0 && region.width == 0) return image;
  if (!LiesWithin(region.top, region.height, image.height) || !LiesWithin(region.left, region.width, image.width)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s of %dx%d pixels (width x height): the region is %dx%d from %d, %d (left, top); permitted is what lies "
        "within the image, or all zeros for the whole",
        format, width, height, region.width, region.height, region.left, region.top));
  }
  if (options.min_height > 0 && options.min_width > 0) {
    return absl::InvalidArgumentError(
        "a region is decoded at full size; leave min_height and min_width at 0, or the region at zeros");
  }
  image.top = region.top;
  image.left = region.left;
  image.height = region.height;
  image.width = region.width;
  return image;
}

void CutOut(const ImageRegion& decoded, Image& image) {
  const size_t row_bytes = static_cast<size_t>(image.width) * 3, stride = static_cast<size_t>(decoded.width) * 3;
  const uint8_t* from = image.pixels.data() + static_cast<size_t>(image.top - decoded.top) * stride +
                        static_cast<size_t>(image.left - decoded.left) * 3;
  uint8_t* to = image.pixels.data();
  if (from != to || row_bytes != stride) {
    for (int y = 0; y < image.height; ++y) {
      std::memmove(to, from, row_bytes);
      from += stride;
      to += row_bytes;
    }
  }
  image.pixels.resize(static_cast<size_t>(image.height) * row_bytes);
}

}  // namespace retort::ops
