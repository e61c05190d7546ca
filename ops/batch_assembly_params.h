// Parameters of the batch assembly op, one record an image.
#pragma once

#include <cstdint>

namespace retort::ops {

// Where a view's window starts in the zero-padded image, and whether it is mirrored afterwards. Three i32 in memory: a
// batch of records is an i32 [B,3] buffer.
struct BatchAssemblyParams {
  // Rows and columns from the image's own corner, -pad..pad; 0, 0 is the image as it is.
  int32_t dy = 0;
  int32_t dx = 0;
  // 0 or 1.
  int32_t flip = 0;
};
static_assert(sizeof(BatchAssemblyParams) == 3 * sizeof(int32_t));

}  // namespace retort::ops
