#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/codecs/image.h"

namespace retort::ops {

// InvalidArgument where the header of a file of `format` announces more pixels than the options permit, or none.
absl::Status CheckSize(absl::string_view format, int64_t height, int64_t width, const DecodeOptions& options);

}  // namespace retort::ops
