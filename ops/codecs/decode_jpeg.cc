#include "retort/ops/codecs/decode_jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h needs it before

#include <jpeglib.h>  // jerror.h needs it before

#include <jerror.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/ops/codecs/image_region.h"

namespace retort::ops {
namespace {

// Of a file that means to cost time; encoders write about ten.
constexpr int kMaxScans = 500;

// The library reports errors by a jump out of its functions. What calls it between setjmp and the end of its scope
// holds nothing with a destructor; all that is to be freed lies here.
struct Decoder {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf on_error;
  char message[JMSG_LENGTH_MAX] = "";

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }

  // Of a kind that this library does not decode, or of faulty data.
  absl::Status Fault() const;
};

absl::Status Decoder::Fault() const {
  switch (errors.msg_code) {
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_IMAGE_TOO_BIG:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
      return absl::InvalidArgumentError(
          absl::StrCat("JPEG: ", message,
                       "; permitted are baseline, extended and progressive files of 8 bits, grey, YCbCr, RGB, CMYK or "
                       "YCCK, of sides up to 65500"));
    default:
      return absl::DataLossError(absl::StrCat("JPEG: ", message));
  }
}

[[noreturn]] void Fail(j_common_ptr info) {
  auto* decoder = static_cast<Decoder*>(info->client_data);
  info->err->format_message(info, decoder->message);
  std::longjmp(decoder->on_error, 1);
}

// Warnings come by this way, with level -1. The library would go on, with grey for what is missing.
void OnMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      Fail(info);
    default:
      return;
  }
}

void OnProgress(j_common_ptr info) {
  auto* decoder = static_cast<Decoder*>(info->client_data);
  if (decoder->info.input_scan_number <= kMaxScans) return;
  std::snprintf(decoder->message, sizeof(decoder->message), "it has more than %d scans", kMaxScans);
  std::longjmp(decoder->on_error, 1);
}

bool ReadHeader(Decoder& decoder, const uint8_t* bytes, size_t size) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = Fail;
  decoder.errors.emit_message = OnMessage;
  decoder.info.client_data = &decoder;
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.progress.progress_monitor = OnProgress;
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

// a * b / 255, rounded, of numbers up to 255.
uint8_t Product(int a, int b) {
  const int product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

// With the header read: decides on the scale, and thus on the size of a whole image; or on `decoded`, which holds the
// region that `image` is and what its pixels depend on.
bool Start(Decoder& decoder, const DecodeOptions& options, Image& image, ImageRegion& decoded) {
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_decompress_struct& info = decoder.info;
  const bool is_cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  info.scale_denom = 8;
  info.scale_num = 8;
  if (options.min_height > 0 && options.min_width > 0) {
    for (info.scale_num = 1; info.scale_num < 8; info.scale_num *= 2) {
      jpeg_calc_output_dimensions(&info);
      if (info.output_height >= static_cast<JDIMENSION>(options.min_height) &&
          info.output_width >= static_cast<JDIMENSION>(options.min_width)) {
        break;
      }
    }
  }
  jpeg_start_decompress(&info);
  decoded.width = static_cast<int>(info.output_width);
  decoded.height = static_cast<int>(info.output_height);
  if (image.width == image.file_width && image.height == image.file_height) {
    image.height = decoded.height;
    image.width = decoded.width;
    return true;
  }
  decoded.top = image.top;
  decoded.height = image.height;
  // Smooth upsampling looks at the neighbouring sample of chroma; smoothing of coarse progressive files, two blocks
  // far.
  const int margin = info.max_h_samp_factor * (info.progressive_mode != 0 ? 1 + 2 * DCTSIZE : 1);
  auto left = static_cast<JDIMENSION>(std::max(image.left - margin, 0));
  JDIMENSION width =
      static_cast<JDIMENSION>(std::min(image.left + image.width, decoded.width - margin) + margin) - left;
  jpeg_crop_scanline(&info, &left, &width);  // Moves to the left as far as it must.
  decoded.left = static_cast<int>(left);
  decoded.width = static_cast<int>(width);
  return true;
}

// `row` has room for a row of CMYK.
bool ReadPixels(Decoder& decoder, const ImageRegion& decoded, uint8_t* pixels, uint8_t* row) {
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_decompress_struct& info = decoder.info;
  // Of the rows above, the library itself decodes those that upsampling looks at.
  jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(decoded.top));
  for (int y = 0; y < decoded.height; ++y) {
    uint8_t* to = pixels + static_cast<size_t>(y) * info.output_width * 3;
    if (info.out_color_space == JCS_RGB) {
      jpeg_read_scanlines(&info, &to, 1);
      continue;
    }
    jpeg_read_scanlines(&info, &row, 1);
    for (JDIMENSION x = 0; x < info.output_width; ++x) {
      const int light = row[4 * x + 3];
      for (JDIMENSION c = 0; c < 3; ++c)
        to[3 * x + c] = static_cast<uint8_t>(light - Product(255 - row[4 * x + c], light));
    }
  }
  if (info.output_scanline == info.output_height) jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

absl::StatusOr<ImageSize> ReadJpegSize(absl::Span<const uint8_t> bytes) {
  Decoder decoder;
  if (!ReadHeader(decoder, bytes.data(), bytes.size())) return decoder.Fault();
  return ImageSize{static_cast<int>(decoder.info.image_height), static_cast<int>(decoder.info.image_width)};
}

absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes, const DecodeOptions& options) {
  Decoder decoder;
  if (!ReadHeader(decoder, bytes.data(), bytes.size())) return decoder.Fault();
  absl::StatusOr<Image> image = ImageToDecode("JPEG", decoder.info.image_height, decoder.info.image_width, options);
  if (!image.ok()) return image;
  ImageRegion decoded;
  if (!Start(decoder, options, *image, decoded)) return decoder.Fault();
  image->pixels.resize(static_cast<size_t>(decoded.height) * static_cast<size_t>(decoded.width) * 3);
  std::vector<uint8_t> row(static_cast<size_t>(decoded.width) * 4);
  if (!ReadPixels(decoder, decoded, image->pixels.data(), row.data())) return decoder.Fault();
  CutOut(decoded, *image);
  return image;
}

}  // namespace retort::ops
