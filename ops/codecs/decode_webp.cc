#include "retort/ops/codecs/decode_webp.h"

#include <webp/decode.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "retort/ops/codecs/check_size.h"

namespace retort::ops {
namespace {

absl::Status Error(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_OK:
      return absl::OkStatus();
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return absl::DataLossError("WebP: the file ends early");
    case VP8_STATUS_BITSTREAM_ERROR:
      return absl::DataLossError("WebP: its coded data are faulty");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return absl::InvalidArgumentError("WebP: it uses a feature that is not decoded");
    case VP8_STATUS_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError("WebP: out of memory");
    case VP8_STATUS_INVALID_PARAM:
    case VP8_STATUS_USER_ABORT:
      break;
  }
  return absl::InternalError(absl::StrCat("WebP: the library's status is ", static_cast<int>(code)));
}

}  // namespace

absl::StatusOr<Image> DecodeWebP(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) return absl::InternalError("WebP: the library is of another version");
  if (absl::Status status = Error(WebPGetFeatures(bytes.data(), bytes.size(), &config.input)); !status.ok()) {
    return status;
  }
  if (config.input.has_animation != 0) {
    return absl::InvalidArgumentError("WebP: it is animated; permitted are single images");
  }
  if (absl::Status status = CheckSize("WebP", config.input.height, config.input.width, options); !status.ok()) {
    return status;
  }
  Image image;
  image.height = image.file_height = config.input.height;
  image.width = image.file_width = config.input.width;
  const size_t row_bytes = static_cast<size_t>(image.width) * 3;
  image.pixels.resize(static_cast<size_t>(image.height) * row_bytes);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.data();
  config.output.u.RGBA.stride = static_cast<int>(row_bytes);
  config.output.u.RGBA.size = image.pixels.size();
  if (absl::Status status = Error(WebPDecode(bytes.data(), bytes.size(), &config)); !status.ok()) return status;
  return image;
}

}  // namespace retort::ops
