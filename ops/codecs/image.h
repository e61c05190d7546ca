// What decoders make.
#pragma once

#include <cstdint>
#include <vector>

namespace retort::ops {

// Of a file's image, in whole pixels.
struct ImageRegion {
  int top = 0, left = 0, height = 0, width = 0;
};

struct ImageSize {
  int height = 0, width = 0;
};

struct Image {
  int height = 0, width = 0;
  // Of the file's image, of which a JPEG may have been decoded smaller, and any file in part.
  int file_height = 0, file_width = 0;
  std::vector<uint8_t> pixels;  // [H,W,3], dense, R G B
  // The first pixel's place in the file's image: 0, 0 but for a region.
  int top = 0, left = 0;
};

struct DecodeOptions {
  // What a file says of itself costs memory only up to here. At least 1.
  int64_t max_pixels = 100'000'000;
  // Both positive: a JPEG is decoded at the least of 1/8, 1/4, 1/2 and all of its size that leaves it at least so high
  // and so wide; the inverse DCT of a block then gives fewer pixels. (The sizes between are slower than the whole: the
  // library has no vector code for them.) A JPEG that is smaller is decoded as it is, and so are other formats.
  int min_height = 0, min_width = 0;
  // What is to be decoded, within the file's image; all zeros: the whole. The pixels are those that the whole would
  // have there. What the format permits to leave out is left out: below the region's last row a file may then be cut
  // off or faulty, and nobody notices. Always at full size, so that min_height or min_width must be 0.
  ImageRegion region;
};

}  // namespace retort::ops
