// Decodes the files it is told of, for tests in other languages: each line of the standard input is "MIN_HEIGHT
// MIN_WIDTH TOP LEFT HEIGHT WIDTH PATH", with zeros for what is not asked for; to the standard output go height and
// width as i32 and the pixels, or -1 and the length of the error and the error.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "retort/ops/codecs/decode_image.h"

int main() {
  retort::ops::DecodeOptions options;
  std::string path;
  retort::ops::ImageRegion& region = options.region;
  while (std::cin >> options.min_height >> options.min_width >> region.top >> region.left >> region.height >>
         region.width >> path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const absl::StatusOr<retort::ops::Image> image = retort::ops::DecodeImage(bytes, options);
    const std::string error = image.status().ToString();
    const int32_t size[] = {image.ok() ? image->height : -1,
                            image.ok() ? image->width : static_cast<int32_t>(error.size())};
    std::fwrite(size, sizeof(size), 1, stdout);
    if (image.ok()) {
      std::fwrite(image->pixels.data(), 1, image->pixels.size(), stdout);
    } else {
      std::fwrite(error.data(), 1, error.size(), stdout);
    }
    std::fflush(stdout);
  }
  return 0;
}
