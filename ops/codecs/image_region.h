// What the decoders have in common.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// The image that the options want of a file of `format` with height x width pixels, without pixels as yet.
// InvalidArgument where the file has more pixels than permitted, or none, or where the region does not lie within it.
absl::StatusOr<Image> ImageToDecode(absl::string_view format, int64_t height, int64_t width,
                                    const DecodeOptions& options);

// Leaves of image.pixels, which are those of `decoded`, the image's own, which lie within.
void CutOut(const ImageRegion& decoded, Image& image);

}  // namespace retort::ops
