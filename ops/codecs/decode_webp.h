#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// A WebP, lossy or lossless, not animated. Alpha is dropped.
//
// Errors as of DecodeImage (decode_image.h).
absl::StatusOr<Image> DecodeWebP(absl::Span<const uint8_t> bytes, const DecodeOptions& options = {});

}  // namespace retort::ops
