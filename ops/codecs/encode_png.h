// Pixels to PNG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace retort::ops {

// The bytes of a PNG, 8 bits a channel, without loss.
//
// pixels  u8 [H,W,C], dense; C = 1 (grey), 3 (RGB) or 4 (RGBA)
//
// InvalidArgument for another C, for sides outside 1..1,000,000, or if pixels are not H * W * C bytes.
absl::StatusOr<std::string> EncodePng(absl::Span<const uint8_t> pixels, int height, int width, int channels);

}  // namespace retort::ops
