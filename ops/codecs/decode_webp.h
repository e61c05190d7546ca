// WebP to pixels.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// A WebP, lossy or lossless, not animated. Alpha is dropped.
//
// Of a region, the rest of the image is parsed, as far as the region's last row, but no pixels are made of it.
//
// Errors as of DecodeImage (decode_image.h).
absl::StatusOr<Image> DecodeWebP(absl::Span<const uint8_t> bytes, const DecodeOptions& options = {});

// As ReadImageSize.
absl::StatusOr<ImageSize> ReadWebPSize(absl::Span<const uint8_t> bytes);

}  // namespace retort::ops
