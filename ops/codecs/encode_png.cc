#include "retort/ops/codecs/encode_png.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace retort::ops {
namespace {

// The library's own limit of a side.
constexpr int kMaxSide = 1'000'000;

// The library reports errors by a jump out of its functions. What calls it between setjmp and the end of its scope
// holds nothing with a destructor; all that is to be freed lies here.
struct Encoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string bytes;
  std::jmp_buf on_error;
  char message[128] = "out of memory";

  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() { png_destroy_write_struct(&png, &info); }
};

[[noreturn]] void Fail(png_structp png, png_const_charp message) {
  auto* encoder = static_cast<Encoder*>(png_get_error_ptr(png));
  std::snprintf(encoder->message, sizeof(encoder->message), "%s", message);
  std::longjmp(encoder->on_error, 1);
}

void Ignore(png_structp /*png*/, png_const_charp /*message*/) {}

void Write(png_structp png, png_bytep from, size_t size) {
  static_cast<Encoder*>(png_get_io_ptr(png))->bytes.append(reinterpret_cast<const char*>(from), size);
}

void Flush(png_structp /*png*/) {}

bool WriteAll(Encoder& encoder, const uint8_t* pixels, int height, int width, int channels) {
  if (setjmp(encoder.on_error) != 0) return false;
  encoder.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &encoder, Fail, Ignore);
  if (encoder.png == nullptr) return false;
  encoder.info = png_create_info_struct(encoder.png);
  if (encoder.info == nullptr) return false;
  png_set_write_fn(encoder.png, &encoder, Write, Flush);
  const int color = channels == 1 ? PNG_COLOR_TYPE_GRAY : channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGB_ALPHA;
  png_set_IHDR(encoder.png, encoder.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8, color,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(encoder.png, encoder.info);
  const size_t row_bytes = static_cast<size_t>(width) * static_cast<size_t>(channels);
  for (int y = 0; y < height; ++y) png_write_row(encoder.png, pixels + static_cast<size_t>(y) * row_bytes);
  png_write_end(encoder.png, encoder.info);
  return true;
}

}  // namespace

absl::StatusOr<std::string> EncodePng(absl::Span<const uint8_t> pixels, int height, int width, int channels) {
  if (channels != 1 && channels != 3 && channels != 4) {
    return absl::InvalidArgumentError(absl::StrCat("PNG of ", channels, " channels; permitted are 1, 3 and 4"));
  }
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PNG of %dx%d pixels (width x height); permitted are sides 1..%d", width, height, kMaxSide));
  }
  if (pixels.size() != static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PNG of %dx%dx%d pixels (width x height x channels), but there are %d bytes", width, height,
                        channels, pixels.size()));
  }
  Encoder encoder;
  if (!WriteAll(encoder, pixels.data(), height, width, channels)) {
    return absl::InternalError(absl::StrCat("PNG: ", encoder.message));
  }
  return std::move(encoder.bytes);
}

}  // namespace retort::ops
