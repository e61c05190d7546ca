// Filters of an antialiased resize, as tables: which pixels of a row make up a pixel of the resized row, and how much
// each counts.
#pragma once

#include <cstdint>
#include <vector>

namespace retort::ops {

// With support s, a = 1 and f = max(1, in / out): a pixel of the source at distance d (in pixels of the source, centre
// to centre) counts h(d / f) before all counts are divided by their sum, h(x) = 0 for |x| > s.
enum class Filter {
  kNearest,   // the pixel that holds the centre
  kBox,       // s = 0.5  1
  kBilinear,  // s = 1    1 - |x|
  kBicubic,   // s = 2    Keys' cubic with a = -0.5
  kLanczos,   // s = 3    sinc(x) sinc(x / 3)
};

// Weights are in units of 2^-22.
constexpr int kResampleBits = 22;

// Pixel o of the result: sum over t < taps of weight[o,t] / 2^22 * source[first[o] + t].
// 0 <= first[o], first[o] + taps <= size of the source.
struct ResampleWeights {
  int taps = 0;
  std::vector<int32_t> first;   // [O]
  std::vector<int32_t> weight;  // [O,T]
};

// Which pixels of a resized row are wanted: `count` from `begin` on, the last one first where `mirror` is set.
struct ResampleWindow {
  int begin = 0;
  int count = 0;
  bool mirror = false;
};

// As Pillow computes them for 8-bit images (src/libImaging/Resample.c): in double, then rounded half away from zero. A
// row of `in` pixels is resized to `out`, both 1..2^24; the window lies within `out`.
ResampleWeights MakeResampleWeights(Filter filter, int in, int out, const ResampleWindow& window);

}  // namespace retort::ops
