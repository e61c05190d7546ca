// JPEG to pixels.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// A JPEG: baseline, extended or progressive, 8 bits, grey, YCbCr, RGB, CMYK or YCCK. At full size the pixels are those
// that Pillow gives after convert("RGB"): integer DCT, smooth upsampling of chroma, CMYK inverted as Adobe writes it
// and turned into RGB without a profile.
//
// Refused are files that end early, whose coded data are faulty, or with more than 500 scans; bytes between segments
// that mean nothing are passed over, as everyone does. Lossless, hierarchical and 12-bit files and other numbers of
// components are InvalidArgument.
//
// Of a region, the rows above and the columns beside it are parsed but not transformed. A file of one scan is read no
// further than to the row of blocks below the region; one of several, as progressive ones are, is parsed as a whole.
//
// Errors as of DecodeImage (decode_image.h).
absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes, const DecodeOptions& options = {});

// As ReadImageSize.
absl::StatusOr<ImageSize> ReadJpegSize(absl::Span<const uint8_t> bytes);

}  // namespace retort::ops
