// PNG to pixels.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// A PNG of any kind: 1 to 16 bits (of 16 the upper 8), grey, palette or RGB, interlaced or not. Alpha and transparent
// colours are dropped, as by convert("RGB") of Pillow; gamma and profiles are not applied.
//
// Of a region, whole rows are decoded as far as its last.
//
// Errors as of DecodeImage (decode_image.h).
absl::StatusOr<Image> DecodePng(absl::Span<const uint8_t> bytes, const DecodeOptions& options = {});

// As ReadImageSize.
absl::StatusOr<ImageSize> ReadPngSize(absl::Span<const uint8_t> bytes);

}  // namespace retort::ops
