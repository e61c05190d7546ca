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

struct ActivationMapParameters {
  ActivationKind kind = ActivationKind::kMeanSquare;
  // Each sample's map is divided by its length.
  bool normalize = true;
};

}  // namespace retort::ops
