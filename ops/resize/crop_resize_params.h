// What a view of an image is made of.
#pragma once

#include <cstdint>

namespace retort::ops {

// In whole pixels. The box of the source is resized to resized_height x resized_width; the view is a window of that, as
// large as the output, mirrored where `flip` is 1, in which a rectangle may be erased.
struct CropResizeParams {
  int32_t top = 0, left = 0, height = 0, width = 0;  // box, within the source
  int32_t resized_height = 0, resized_width = 0;     // at least as large as the output
  int32_t window_top = 0, window_left = 0;           // of the resized box
  int32_t flip = 0;
  int32_t erase_top = 0, erase_left = 0, erase_height = 0, erase_width = 0;  // of the view; height 0: nothing
};

}  // namespace retort::ops
