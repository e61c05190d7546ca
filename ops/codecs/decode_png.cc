#include "retort/ops/codecs/decode_png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/ops/codecs/image_region.h"

namespace retort::ops {
namespace {

// The library reports errors by a jump out of its functions. What calls it between setjmp and the end of its scope
// holds nothing with a destructor; all that is to be freed lies here.
struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* next = nullptr;
  size_t left = 0;
  std::jmp_buf on_error;
  char message[128] = "out of memory";

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }

  absl::Status DataLoss() const { return absl::DataLossError(absl::StrCat("PNG: ", message)); }
};

[[noreturn]] void Fail(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder->message, sizeof(decoder->message), "%s", message);
  std::longjmp(decoder->on_error, 1);
}

void Ignore(png_structp /*png*/, png_const_charp /*message*/) {}

void Read(png_structp png, png_bytep to, size_t size) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (size > decoder->left) png_error(png, "the file ends early");
  std::memcpy(to, decoder->next, size);
  decoder->next += size;
  decoder->left -= size;
}

bool ReadHeader(Decoder& decoder, const uint8_t* bytes, size_t size) {
  decoder.next = bytes;
  decoder.left = size;
  if (setjmp(decoder.on_error) != 0) return false;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, Fail, Ignore);
  if (decoder.png == nullptr) return false;
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return false;
  png_set_read_fn(decoder.png, &decoder, Read);
  // How large an image may be is decided elsewhere. Texts are skipped: compressed, they could take any amount of
  // memory.
  png_set_chunk_cache_max(decoder.png, 1);
  png_set_user_limits(decoder.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_read_info(decoder.png, decoder.info);
  return true;
}

// Rows of the image, of the file's width.
bool ReadPixels(Decoder& decoder, uint8_t* pixels, size_t row_bytes, const Image& image) {
  if (setjmp(decoder.on_error) != 0) return false;
  png_set_strip_16(decoder.png);
  png_set_palette_to_rgb(decoder.png);
  png_set_expand_gray_1_2_4_to_8(decoder.png);
  png_set_gray_to_rgb(decoder.png);
  png_set_strip_alpha(decoder.png);
  const int passes = png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  if (png_get_rowbytes(decoder.png, decoder.info) != row_bytes) png_error(decoder.png, "its rows are not RGB");
  const int bottom = image.top + image.height;
  for (int pass = 0; pass < passes; ++pass) {
    const int end = pass + 1 == passes ? bottom : image.file_height;
    for (int y = 0; y < end; ++y) {
      const bool is_wanted = y >= image.top && y < bottom;
      png_read_row(decoder.png, is_wanted ? pixels + static_cast<size_t>(y - image.top) * row_bytes : nullptr, nullptr);
    }
  }
  if (bottom == image.file_height) png_read_end(decoder.png, nullptr);
  return true;
}

}  // namespace

absl::StatusOr<ImageSize> ReadPngSize(absl::Span<const uint8_t> bytes) {
  Decoder decoder;
  if (!ReadHeader(decoder, bytes.data(), bytes.size())) return decoder.DataLoss();
  return ImageSize{static_cast<int>(png_get_image_height(decoder.png, decoder.info)),
                   static_cast<int>(png_get_image_width(decoder.png, decoder.info))};
}

absl::StatusOr<Image> DecodePng(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  Decoder decoder;
  if (!ReadHeader(decoder, bytes.data(), bytes.size())) return decoder.DataLoss();
  absl::StatusOr<Image> image = ImageToDecode("PNG", png_get_image_height(decoder.png, decoder.info),
                                              png_get_image_width(decoder.png, decoder.info), options);
  if (!image.ok()) return image;
  const size_t row_bytes = static_cast<size_t>(image->file_width) * 3;
  image->pixels.resize(static_cast<size_t>(image->height) * row_bytes);
  if (!ReadPixels(decoder, image->pixels.data(), row_bytes, *image)) return decoder.DataLoss();
  CutOut({image->top, 0, image->height, image->file_width}, *image);
  return image;
}

}  // namespace retort::ops
