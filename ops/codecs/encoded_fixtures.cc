#include "retort/ops/codecs/encoded_fixtures.h"

#include <cstddef>
#include <cstdio>  // jpeglib.h needs it before
#include <cstdlib>
#include <iterator>
#include <random>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

namespace retort::ops {

std::vector<uint8_t> SmoothPixels(int height, int width, int channels) {
  std::mt19937 random(11);
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        pixels.push_back(static_cast<uint8_t>(((x * (c + 1) / 2 + y + (x * y >> 9)) & 0xff) / 2 + 60 + (random() & 7)));
      }
    }
  }
  return pixels;
}

namespace {

// Means of all blocks, and of brightness the first coefficients but for their last two bits.
const jpeg_scan_info kCoarseScans[] = {{3, {0, 1, 2}, 0, 0, 0, 0}, {1, {0}, 1, 5, 0, 2}};
const jpeg_scan_info kThreeScans[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};

}  // namespace

std::string EncodeJpeg(int height, int width, JpegKind kind, int quality) {
  const bool is_grey = kind == JpegKind::kGrey || kind == JpegKind::kGrey2x2;
  const int channels = is_grey ? 1 : kind == JpegKind::kTwoChannels ? 2 : kind == JpegKind::kCmyk ? 4 : 3;
  const std::vector<uint8_t> pixels = SmoothPixels(height, width, channels);
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);  // Ends the program on an error.
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.input_components = channels;
  info.in_color_space = channels == 1   ? JCS_GRAYSCALE
                        : channels == 2 ? JCS_UNKNOWN
                        : channels == 4 ? JCS_CMYK
                                        : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  switch (kind) {
    case JpegKind::kColor411:
      info.comp_info[0].h_samp_factor = 4;
      info.comp_info[0].v_samp_factor = 1;
      break;
    case JpegKind::kColor422:
      info.comp_info[0].v_samp_factor = 1;
      break;
    case JpegKind::kColor440:
      info.comp_info[0].h_samp_factor = 1;
      break;
    case JpegKind::kColor444:
      info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
      break;
    case JpegKind::kGrey2x2:
      info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 2;
      break;
    case JpegKind::kArithmetic:
      info.arith_code = TRUE;
      break;
    case JpegKind::kRestarts:
      info.restart_in_rows = 1;
      break;
    case JpegKind::kThreeScans:
      info.scan_info = kThreeScans;
      info.num_scans = std::size(kThreeScans);
      break;
    case JpegKind::kProgressive:
      jpeg_simple_progression(&info);
      break;
    case JpegKind::kCoarse:
      info.scan_info = kCoarseScans;
      info.num_scans = std::size(kCoarseScans);
      break;
    case JpegKind::kColor:
    case JpegKind::kGrey:
    case JpegKind::kTwoChannels:
    case JpegKind::kCmyk:
      break;
  }
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    const uint8_t* row = &pixels[static_cast<size_t>(info.next_scanline) * static_cast<size_t>(width * channels)];
    JSAMPROW rows[] = {const_cast<JSAMPROW>(row)};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return result;
}

std::string EncodeWebP(int height, int width, bool lossless) {
  const std::vector<uint8_t> pixels = SmoothPixels(height, width, 3);
  uint8_t* bytes = nullptr;
  const size_t size = lossless ? WebPEncodeLosslessRGB(pixels.data(), width, height, width * 3, &bytes)
                               : WebPEncodeRGB(pixels.data(), width, height, width * 3, 80, &bytes);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return result;
}

std::string EncodeInterlacedPng(int height, int width) {
  std::vector<uint8_t> pixels = SmoothPixels(height, width, 3);
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  const auto append = [](png_structp from, png_bytep data, size_t size) {
    static_cast<std::string*>(png_get_io_ptr(from))->append(reinterpret_cast<const char*>(data), size);
  };
  png_set_write_fn(png, &bytes, append, [](png_structp) {});
  png_set_IHDR(png, info, static_cast<uint32_t>(width), static_cast<uint32_t>(height), 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_ADAM7, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_bytep> rows;
  for (int y = 0; y < height; ++y) rows.push_back(&pixels[static_cast<size_t>(y * width * 3)]);
  png_write_info(png, info);
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

}  // namespace retort::ops
