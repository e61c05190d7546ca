#include "retort/ops/codecs/check_size.h"

#include "absl/strings/str_format.h"

namespace retort::ops {

absl::Status CheckSize(absl::string_view format, int64_t height, int64_t width, const DecodeOptions& options) {
  if (height >= 1 && width >= 1 && width <= options.max_pixels / height) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s of %dx%d pixels (width x height); permitted are 1..%d pixels, raise max_pixels if the file is to be trusted",
      format, width, height, options.max_pixels));
}

}  // namespace retort::ops
