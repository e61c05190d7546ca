// Encoded images for tests and benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::ops {

// [H,W,C] of slopes and a little noise.
std::vector<uint8_t> SmoothPixels(int height, int width, int channels);

// Colour is 4:2:0 where nothing else is said. kCoarse: progressive, and ends before it has told all of the coefficients.
enum class JpegKind { kColor, kColor411, kColor422, kColor440, kColor444, kProgressive, kCoarse, kGrey, kCmyk };

// SmoothPixels as a JPEG, a WebP and an RGB PNG of seven passes.
std::string EncodeJpeg(int height, int width, JpegKind kind = JpegKind::kColor, int quality = 90);
std::string EncodeWebP(int height, int width, bool lossless);
std::string EncodeInterlacedPng(int height, int width);

}  // namespace retort::ops
