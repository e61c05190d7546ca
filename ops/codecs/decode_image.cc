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

absl::StatusOr<Image> DecodeImage(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (absl::StartsWith(text, "\xff\xd8\xff")) return DecodeJpeg(bytes, options);
  if (absl::StartsWith(text, "\x89PNG\r\n\x1a\n")) return DecodePng(bytes, options);
  if (absl::StartsWith(text, "RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return DecodeWebP(bytes, options);
  }
  return absl::InvalidArgumentError(absl::StrCat("an image of ", bytes.size(), " bytes that begins with \"",
                                                 absl::CHexEscape(text.substr(0, 12)),
                                                 "\" is of no known format; permitted are JPEG, PNG and WebP"));
}

}  // namespace retort::ops
