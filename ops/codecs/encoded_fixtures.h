// Encoded images for tests and benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::ops {

// [H,W,C] of slopes and a little noise.
std::vector<uint8_t> SmoothPixels(int height, int width, int channels);

enum class JpegKind { kColor, kProgressive, kGrey, kCmyk };

// SmoothPixels as a JPEG of 4:2:0, kCmyk apart, and as a WebP.
std::string EncodeJpeg(int height, int width, JpegKind kind = JpegKind::kColor, int quality = 90);
std::string EncodeWebP(int height, int width, bool lossless);

}  // namespace retort::ops
