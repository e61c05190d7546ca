#include "retort/ops/codecs/decode_image.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "retort/ops/codecs/decode_jpeg.h"
#include "retort/ops/codecs/decode_png.h"
#include "retort/ops/codecs/decode_webp.h"

namespace retort::ops {

namespace {

enum class Format { kJpeg, kPng, kWebP };

absl::StatusOr<Format> FormatOf(absl::Span<const uint8_t> bytes) {
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (absl::StartsWith(text, "\xff\xd8\xff")) return Format::kJpeg;
  if (absl::StartsWith(text, "\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (absl::StartsWith(text, "RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") return Format::kWebP;
  return absl::InvalidArgumentError(absl::StrCat("an image of ", bytes.size(), " bytes that begins with \"",
                                                 absl::CHexEscape(text.substr(0, 12)),
                                                 "\" is of no known format; permitted are JPEG, PNG and WebP"));
}

}  // namespace

absl::StatusOr<Image> DecodeImage(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  const absl::StatusOr<Format> format = FormatOf(bytes);
  if (!format.ok()) return format.status();
  switch (*format) {
    case Format::kJpeg:
      return DecodeJpeg(bytes, options);
    case Format::kPng:
      return DecodePng(bytes, options);
    case Format::kWebP:
      return DecodeWebP(bytes, options);
  }
  return absl::InternalError("no such format");
}

absl::StatusOr<ImageSize> ReadImageSize(absl::Span<const uint8_t> bytes) {
  const absl::StatusOr<Format> format = FormatOf(bytes);
  if (!format.ok()) return format.status();
  switch (*format) {
    case Format::kJpeg:
      return ReadJpegSize(bytes);
    case Format::kPng:
      return ReadPngSize(bytes);
    case Format::kWebP:
      return ReadWebPSize(bytes);
  }
  return absl::InternalError("no such format");
}

}  // namespace retort::ops
