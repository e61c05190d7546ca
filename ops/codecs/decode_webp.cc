#include "retort/ops/codecs/decode_webp.h"

#include <webp/decode.h>

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "retort/ops/codecs/image_region.h"

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

absl::Status ReadHeader(absl::Span<const uint8_t> bytes, WebPDecoderConfig& config) {
  if (WebPInitDecoderConfig(&config) == 0) return absl::InternalError("WebP: the library is of another version");
  if (absl::Status status = Error(WebPGetFeatures(bytes.data(), bytes.size(), &config.input)); !status.ok()) {
    return status;
  }
  if (config.input.has_animation != 0) {
    return absl::InvalidArgumentError("WebP: it is animated; permitted are single images");
  }
  return absl::OkStatus();
}

// The sample of chroma that begins at or before `x`, and its neighbour, from which smooth upsampling takes a quarter.
int WithMarginBefore(int x) { return std::max(x / 2 * 2 - 2, 0); }

int WithMarginAfter(int end, int file_end) { return std::min(end + 2, file_end); }

}  // namespace

absl::StatusOr<ImageSize> ReadWebPSize(absl::Span<const uint8_t> bytes) {
  WebPDecoderConfig config;
  if (absl::Status status = ReadHeader(bytes, config); !status.ok()) return status;
  return ImageSize{config.input.height, config.input.width};
}

absl::StatusOr<Image> DecodeWebP(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  WebPDecoderConfig config;
  if (absl::Status status = ReadHeader(bytes, config); !status.ok()) return status;
  absl::StatusOr<Image> image = ImageToDecode("WebP", config.input.height, config.input.width, options);
  if (!image.ok()) return image;
  ImageRegion decoded;
  decoded.top = WithMarginBefore(image->top);
  decoded.left = WithMarginBefore(image->left);
  decoded.height = WithMarginAfter(image->top + image->height, image->file_height) - decoded.top;
  decoded.width = WithMarginAfter(image->left + image->width, image->file_width) - decoded.left;
  config.options.use_cropping = 1;
  config.options.crop_top = decoded.top;
  config.options.crop_left = decoded.left;
  config.options.crop_height = decoded.height;
  config.options.crop_width = decoded.width;
  const size_t row_bytes = static_cast<size_t>(decoded.width) * 3;
  image->pixels.resize(static_cast<size_t>(decoded.height) * row_bytes);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image->pixels.data();
  config.output.u.RGBA.stride = static_cast<int>(row_bytes);
  config.output.u.RGBA.size = image->pixels.size();
  if (absl::Status status = Error(WebPDecode(bytes.data(), bytes.size(), &config)); !status.ok()) return status;
  CutOut(decoded, *image);
  return image;
}

}  // namespace retort::ops
