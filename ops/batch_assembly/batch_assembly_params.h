// Parameters of the batch assembly ops, one record an image.
#pragma once

#include <cstdint>

namespace retort::ops {

// Rows and columns of a view, [top, bottom) and [left, right); empty unless bottom > top and right > left. What lies
// beyond the view is left out.
struct Box {
  int32_t top = 0;
  int32_t left = 0;
  int32_t bottom = 0;
  int32_t right = 0;
};
static_assert(sizeof(Box) == 4 * sizeof(int32_t));

// Where a view's window starts in the padded image, whether it is mirrored afterwards, and what is then erased. Seven
// i32 in memory: a batch of records is an i32 [B,7] buffer.
struct BatchAssemblyParams {
  // Rows and columns from the image's own corner, -pad..pad; 0, 0 is the image as it is.
  int32_t dy = 0;
  int32_t dx = 0;
  // 0 or 1.
  int32_t flip = 0;
  // Cutout: 0 there, after normalisation.
  Box erase;
};
static_assert(sizeof(BatchAssemblyParams) == 7 * sizeof(int32_t));

// What lies outside an image.
enum class Border {
  kZero,     // black, before normalisation
  kReflect,  // the image mirrored, its edge not repeated; shifts are less than its size
};

}  // namespace retort::ops
