// What an activation map is made of.
#pragma once

#include <cstdint>

namespace retort::ops {

// How the C channels of a place become one number.
enum class ActivationKind : int32_t {
  kMeanAbsolute = 0,  // mean_c |F|; of a stored gradient, the map of gradient-based attention
  kMeanSquare = 1,    // mean_c F^2; the usual one, and the fastest here
  kMeanFourth = 2,    // mean_c F^4
  kMaximum = 3,       // max_c |F|; its gradient is divided evenly among channels that share the maximum
};

// A GPU holds a sample's map in a block's shared memory, 128 places of a row at a time: of rows that follow each other
// without a gap, in the features as in all maps and gradients, it makes one.
inline constexpr int64_t kMostPlacesOnDevice = 4096;
constexpr int64_t PlacesOnDevice(int64_t height, int64_t width, bool one_row) {
  const int64_t rows = one_row ? 1 : height, row = one_row ? height * width : width;
  return rows * ((row + 127) / 128 * 128);
}

struct ActivationMapParameters {
  ActivationKind kind = ActivationKind::kMeanSquare;
  // Each sample's map is divided by its length.
  bool normalize = true;
};

}  // namespace retort::ops
