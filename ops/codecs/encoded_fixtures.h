// Encoded images for tests and benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::ops {

// [H,W,C] of slopes and a little noise.
std::vector<uint8_t> SmoothPixels(int height, int width, int channels);

// Colour is 4:2:0 where nothing else is said. kCoarse is progressive, and ends before it has told all of the
// coefficients; kThreeScans is baseline, a scan for each component; kGrey2x2 has useless sampling factors, as some
// cameras write; kRestarts has a restart marker after each row of blocks; kTwoChannels is of no known colour space.
enum class JpegKind {
  kColor,
  kColor411,
  kColor422,
  kColor440,
  kColor444,
  kArithmetic,
  kRestarts,
  kThreeScans,
  kProgressive,
  kCoarse,
  kGrey,
  kGrey2x2,
  kTwoChannels,
  kCmyk,
};

// SmoothPixels as a JPEG, a WebP and an RGB PNG of seven passes.
std::string EncodeJpeg(int height, int width, JpegKind kind = JpegKind::kColor, int quality = 90);
std::string EncodeWebP(int height, int width, bool lossless);
std::string EncodeInterlacedPng(int height, int width);

}  // namespace retort::ops
