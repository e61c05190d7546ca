// From the bytes of an image file to its pixels.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// A JPEG, PNG or WebP, told apart by its first bytes; decode_jpeg.h, decode_png.h and decode_webp.h say what pixels are
// made of each. An EXIF orientation is not applied, as by Pillow's Image.open.
//
// InvalidArgument for another format, for more than options.max_pixels (before any memory is taken for them), for a
// region that does not lie within the image, and for what a format permits but is not decoded; DataLoss for a truncated
// or corrupt file.
absl::StatusOr<Image> DecodeImage(absl::Span<const uint8_t> bytes, const DecodeOptions& options = {});

// Height and width of the file's image, for a caller who must know them to say what region is wanted. Reads no further
// than to the first pixels, and takes no memory for them. Errors as of DecodeImage, but for the limits of the options.
absl::StatusOr<ImageSize> ReadImageSize(absl::Span<const uint8_t> bytes);

}  // namespace retort::ops
