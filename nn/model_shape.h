// What a model is built for.
#pragma once

#include <cstdint>

namespace retort::nn {

struct ModelShape {
  int64_t channels = 3;  // C
  int64_t height = 32;   // H
  int64_t width = 32;    // W
  int64_t classes = 10;  // K
};

}  // namespace retort::nn
