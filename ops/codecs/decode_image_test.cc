#include "retort/ops/codecs/decode_image.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/codecs/encode_png.h"
#include "retort/ops/codecs/encoded_fixtures.h"

namespace retort::ops {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Image> Decode(absl::string_view bytes, const DecodeOptions& options = {}) {
  // A copy of exactly these bytes, so that a sanitizer sees what is read beyond them.
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  return DecodeImage(copy, options);
}

std::string Png(int height, int width, int channels) {
  return EncodePng(SmoothPixels(height, width, channels), height, width, channels).value();
}

TEST(DecodeImageTest, GivesBackWhatALosslessFormatWasGiven) {
  for (const std::string& bytes : {Png(31, 47, 3), EncodeWebP(31, 47, true)}) {
    const absl::StatusOr<Image> image = Decode(bytes);
    ASSERT_EQ(image.status(), absl::OkStatus());
    EXPECT_EQ(image->height, 31);
    EXPECT_EQ(image->width, 47);
    EXPECT_EQ(image->file_height, 31);
    EXPECT_EQ(image->file_width, 47);
    EXPECT_EQ(image->pixels, SmoothPixels(31, 47, 3));
  }
}

TEST(DecodeImageTest, GivesNearlyWhatALossyFormatWasGiven) {
  for (const std::string& bytes :
       {EncodeJpeg(63, 50), EncodeJpeg(63, 50, JpegKind::kProgressive), EncodeWebP(63, 50, false)}) {
    const absl::StatusOr<Image> image = Decode(bytes);
    ASSERT_EQ(image.status(), absl::OkStatus());
    const std::vector<uint8_t> original = SmoothPixels(63, 50, 3);
    ASSERT_EQ(image->pixels.size(), original.size());
    double difference = 0;
    for (size_t i = 0; i < original.size(); ++i) difference += std::abs(image->pixels[i] - original[i]);
    EXPECT_LT(difference / static_cast<double>(original.size()), 6);
  }
}

TEST(DecodeImageTest, MakesRgbOfGrey) {
  const std::vector<uint8_t> grey = SmoothPixels(9, 14, 1);
  const absl::StatusOr<Image> png = Decode(Png(9, 14, 1));
  ASSERT_EQ(png.status(), absl::OkStatus());
  for (size_t i = 0; i < grey.size() * 3; ++i) EXPECT_EQ(png->pixels[i], grey[i / 3]);
  const absl::StatusOr<Image> jpeg = Decode(EncodeJpeg(9, 14, JpegKind::kGrey));
  ASSERT_EQ(jpeg.status(), absl::OkStatus());
  for (size_t i = 0; i < grey.size(); ++i) {
    EXPECT_NEAR(jpeg->pixels[3 * i], grey[i], 24);
    EXPECT_EQ(jpeg->pixels[3 * i], jpeg->pixels[3 * i + 2]);
  }
}

TEST(DecodeImageTest, DropsAlpha) {
  const std::vector<uint8_t> rgba = SmoothPixels(9, 14, 4);
  const absl::StatusOr<Image> image = Decode(Png(9, 14, 4));
  ASSERT_EQ(image.status(), absl::OkStatus());
  for (size_t i = 0; i < image->pixels.size(); ++i) EXPECT_EQ(image->pixels[i], rgba[i / 3 * 4 + i % 3]);
}

struct Scaling {
  int min_height, min_width, height, width;
};

// Of 375 x 500: eighths, rounded up.
TEST(DecodeImageTest, DecodesAJpegNoLargerThanNeeded) {
  const std::string bytes = EncodeJpeg(375, 500);
  for (const Scaling& s : {Scaling{1, 1, 47, 63}, Scaling{47, 63, 47, 63}, Scaling{48, 63, 94, 125},
                           Scaling{94, 126, 188, 250}, Scaling{100, 100, 188, 250}, Scaling{188, 251, 375, 500},
                           Scaling{224, 224, 375, 500}, Scaling{375, 500, 375, 500}, Scaling{376, 1, 375, 500},
                           Scaling{0, 0, 375, 500}, Scaling{9, 0, 375, 500}, Scaling{-5, 7, 375, 500}}) {
    DecodeOptions options;
    options.min_height = s.min_height;
    options.min_width = s.min_width;
    const absl::StatusOr<Image> image = Decode(bytes, options);
    ASSERT_EQ(image.status(), absl::OkStatus());
    EXPECT_EQ(image->height, s.height) << s.min_height << "x" << s.min_width;
    EXPECT_EQ(image->width, s.width) << s.min_height << "x" << s.min_width;
    EXPECT_EQ(image->file_height, 375);
    EXPECT_EQ(image->file_width, 500);
    EXPECT_EQ(image->pixels.size(), static_cast<size_t>(s.height * s.width * 3));
  }
}

struct Kind {
  const char* name;
  std::string (*encode)(int height, int width);
};

template <JpegKind kind>
std::string Jpeg(int height, int width) {
  return EncodeJpeg(height, width, kind);
}

class DecodeRegionTest : public ::testing::TestWithParam<Kind> {
 protected:
  static DecodeOptions Region(int top, int left, int height, int width) {
    DecodeOptions options;
    options.region = {top, left, height, width};
    return options;
  }

  // That the region of the file is the same part of `whole`.
  static void ExpectPart(const Image& whole, const absl::StatusOr<Image>& part, const ImageRegion& region) {
    ASSERT_EQ(part.status(), absl::OkStatus());
    ASSERT_EQ(part->top, region.top);
    ASSERT_EQ(part->left, region.left);
    ASSERT_EQ(part->height, region.height);
    ASSERT_EQ(part->width, region.width);
    ASSERT_EQ(part->file_height, whole.height);
    ASSERT_EQ(part->file_width, whole.width);
    std::vector<uint8_t> expected;
    for (int y = region.top; y < region.top + region.height; ++y) {
      const auto row = whole.pixels.begin() + (y * whole.width + region.left) * 3;
      expected.insert(expected.end(), row, row + region.width * 3);
    }
    ASSERT_EQ(part->pixels, expected);
  }
};

TEST_P(DecodeRegionTest, GivesThePixelsOfTheWhole) {
  std::mt19937 random(8);
  const auto below = [&](int end) { return static_cast<int>(random() % static_cast<uint32_t>(end)); };
  for (int file = 0; file < 20; ++file) {
    const int height = 1 + below(file < 10 ? 40 : 150), width = 1 + below(file < 10 ? 40 : 150);
    const std::string bytes = GetParam().encode(height, width);
    const absl::StatusOr<Image> whole = Decode(bytes);
    ASSERT_EQ(whole.status(), absl::OkStatus());
    for (int i = 0; i < 50; ++i) {
      ImageRegion region;
      region.height = 1 + below(height);
      region.width = 1 + below(width);
      region.top = below(height - region.height + 1);
      region.left = below(width - region.width + 1);
      SCOPED_TRACE(::testing::Message() << height << "x" << width << ": " << region.height << "x" << region.width
                                        << " from " << region.top << ", " << region.left);
      const absl::StatusOr<Image> part = Decode(bytes, Region(region.top, region.left, region.height, region.width));
      ASSERT_NO_FATAL_FAILURE(ExpectPart(*whole, part, region));
    }
  }
}

// Each row and each column by itself: every place within a block and at the image's ends.
TEST_P(DecodeRegionTest, GivesEachRowAndColumn) {
  for (const int side : {1, 2, 15, 16, 17, 18, 51}) {
    const std::string bytes = GetParam().encode(side, side);
    const absl::StatusOr<Image> whole = Decode(bytes);
    ASSERT_EQ(whole.status(), absl::OkStatus());
    for (int i = 0; i < side; ++i) {
      SCOPED_TRACE(::testing::Message() << i << " of " << side);
      ASSERT_NO_FATAL_FAILURE(ExpectPart(*whole, Decode(bytes, Region(i, 0, 1, side)), {i, 0, 1, side}));
      ASSERT_NO_FATAL_FAILURE(ExpectPart(*whole, Decode(bytes, Region(0, i, side, 1)), {0, i, side, 1}));
    }
  }
}

// Wherever it is cut off, a file either has the region's pixels, or is refused.
TEST_P(DecodeRegionTest, GivesNothingElseOfAFileThatEndsEarly) {
  const std::string bytes = GetParam().encode(60, 50);
  const absl::StatusOr<Image> whole = Decode(bytes);
  ASSERT_EQ(whole.status(), absl::OkStatus());
  const ImageRegion region = {17, 9, 12, 31};
  for (size_t size = 16; size < bytes.size(); size += 3) {
    const absl::StatusOr<Image> part = Decode(absl::string_view(bytes).substr(0, size), Region(17, 9, 12, 31));
    if (part.status().code() == absl::StatusCode::kDataLoss) continue;
    ASSERT_NO_FATAL_FAILURE(ExpectPart(*whole, part, region)) << size << " of " << bytes.size();
  }
}

TEST_P(DecodeRegionTest, RefusesWhatDoesNotLieWithin) {
  const std::string bytes = GetParam().encode(31, 47);
  constexpr int kMost = std::numeric_limits<int>::max(), kLeast = std::numeric_limits<int>::min();
  for (const DecodeOptions& options :
       {Region(0, 0, 0, 5), Region(0, 0, 5, 0), Region(3, 4, 0, 0), Region(-1, 0, 5, 5), Region(0, -1, 5, 5),
        Region(0, 0, 32, 5), Region(0, 0, 5, 48), Region(31, 0, 1, 1), Region(0, 47, 1, 1), Region(30, 46, 2, 1),
        Region(30, 46, 1, 2), Region(kMost, kMost, kMost, kMost), Region(1, 1, kMost, kMost),
        Region(kLeast, kLeast, kMost, kMost), Region(0, 0, -1, -1), Region(kMost, 0, kLeast, 1)}) {
    EXPECT_EQ(Decode(bytes, options).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(std::string(Decode(bytes, Region(2, 40, 5, 8)).status().message()),
              HasSubstr(" of 47x31 pixels (width x height): the region is 8x5 from 40, 2 (left, top); permitted is "));
  EXPECT_EQ(Decode(bytes, Region(30, 46, 1, 1)).status(), absl::OkStatus());
  DecodeOptions small = Region(1, 2, 3, 4);
  small.min_height = small.min_width = 2;
  EXPECT_THAT(std::string(Decode(bytes, small).status().message()), HasSubstr("a region is decoded at full size"));
}

TEST_P(DecodeRegionTest, HeaderSaysTheSize) {
  const std::string bytes = GetParam().encode(31, 47);
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  const absl::StatusOr<ImageSize> size = ReadImageSize(copy);
  ASSERT_EQ(size.status(), absl::OkStatus());
  EXPECT_EQ(size->height, 31);
  EXPECT_EQ(size->width, 47);
  for (size_t end = 16; end < 24; ++end) {
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(end));
    EXPECT_EQ(ReadImageSize(cut).status().code(), absl::StatusCode::kDataLoss) << end;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DecodeRegionTest,
    ::testing::Values(Kind{"Jpeg420", Jpeg<JpegKind::kColor>}, Kind{"Jpeg411", Jpeg<JpegKind::kColor411>},
                      Kind{"Jpeg422", Jpeg<JpegKind::kColor422>}, Kind{"Jpeg440", Jpeg<JpegKind::kColor440>},
                      Kind{"Jpeg444", Jpeg<JpegKind::kColor444>}, Kind{"JpegThreeScans", Jpeg<JpegKind::kThreeScans>},
                      Kind{"JpegProgressive", Jpeg<JpegKind::kProgressive>},
                      Kind{"JpegCoarse", Jpeg<JpegKind::kCoarse>}, Kind{"JpegGrey", Jpeg<JpegKind::kGrey>},
                      Kind{"JpegGrey2x2", Jpeg<JpegKind::kGrey2x2>}, Kind{"JpegCmyk", Jpeg<JpegKind::kCmyk>},
                      Kind{"Png", [](int height, int width) { return Png(height, width, 3); }},
                      Kind{"PngOfSevenPasses", EncodeInterlacedPng},
                      Kind{"WebPLossy", [](int height, int width) { return EncodeWebP(height, width, false); }},
                      Kind{"WebPLossless", [](int height, int width) { return EncodeWebP(height, width, true); }}),
    [](const ::testing::TestParamInfo<Kind>& kind) { return std::string(kind.param.name); });

// Below the region a baseline JPEG is not read.
TEST(DecodeImageTest, ReadsAJpegNoFurtherThanTheRegion) {
  const std::string bytes = EncodeJpeg(256, 64);
  DecodeOptions options;
  options.region = {0, 0, 32, 64};
  EXPECT_EQ(Decode(absl::string_view(bytes).substr(0, bytes.size() / 2), options).status(), absl::OkStatus());
}

TEST(DecodeImageTest, NamesFormatsWhereItKnowsNone) {
  EXPECT_EQ(Decode("GIF89a\x01").status(),
            absl::InvalidArgumentError("an image of 7 bytes that begins with \"GIF89a\\x01\" is of no known format; "
                                       "permitted are JPEG, PNG and WebP"));
  EXPECT_EQ(Decode("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeImage({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadImageSize({}).status().code(), absl::StatusCode::kInvalidArgument);
}

// CRC-32 of a chunk's type and data, as it is written behind them: the remainder by the polynomial 0xedb88320, bit by
// bit.
std::string PngChecksum(absl::string_view chunk) {
  uint32_t crc = 0xffffffff;
  for (const char byte : chunk) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  crc = ~crc;
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(crc >> shift & 0xff));
  return bytes;
}

// Headers that announce 65,500 x 65,500, 2^31-1 x 2^31-1 and 16,383 x 16,383 pixels, and nothing else.
TEST(DecodeImageTest, RefusesABombBeforeItTakesMemory) {
  std::string jpeg = EncodeJpeg(16, 16);
  const size_t frame = jpeg.find(std::string("\xff\xc0", 2));
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  std::string png = Png(8, 8, 3);
  png.replace(16, 8, "\x7f\xff\xff\xff\x7f\xff\xff\xff");
  png.replace(29, 4, PngChecksum(png.substr(12, 17)));
  std::string webp = EncodeWebP(8, 8, false);
  webp.replace(webp.find("VP8 ") + 14, 4, "\xff\x3f\xff\x3f");
  EXPECT_EQ(
      Decode(jpeg).status(),
      absl::InvalidArgumentError("JPEG of 65500x65500 pixels (width x height); permitted are 1..100000000 pixels, "
                                 "raise max_pixels if the file is to be trusted"));
  EXPECT_THAT(std::string(Decode(webp).status().message()), HasSubstr("WebP of 16383x16383 pixels"));
  EXPECT_THAT(std::string(Decode(png).status().message()), HasSubstr("PNG of 2147483647x2147483647 pixels"));
}

TEST(DecodeImageTest, RefusesMoreThanTheCallersLimit) {
  DecodeOptions options;
  options.max_pixels = 31 * 47 - 1;
  for (const std::string& bytes :
       {Png(31, 47, 3), EncodeJpeg(31, 47), EncodeWebP(31, 47, true), EncodeWebP(31, 47, false)}) {
    EXPECT_THAT(std::string(Decode(bytes, options).status().message()),
                HasSubstr("of 47x31 pixels (width x height); permitted are 1..1456 pixels"));
  }
  options.max_pixels = 31 * 47;
  EXPECT_EQ(Decode(Png(31, 47, 3), options).status(), absl::OkStatus());
}

// Every file cut off at every length is refused, but for ends that hold no pixels.
TEST(DecodeImageTest, RefusesWhatEndsEarly) {
  for (const std::string& bytes :
       {Png(20, 30, 3), EncodeJpeg(20, 30), EncodeJpeg(20, 30, JpegKind::kProgressive),
        EncodeJpeg(20, 30, JpegKind::kCmyk), EncodeWebP(20, 30, true), EncodeWebP(20, 30, false)}) {
    ASSERT_EQ(Decode(bytes).status(), absl::OkStatus());
    for (size_t size = 16; size + 4 < bytes.size(); ++size) {
      const absl::Status status = Decode(absl::string_view(bytes).substr(0, size)).status();
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << size << " of " << bytes.size() << ": " << status;
    }
  }
}

TEST(DecodeImageTest, NamesTheFault) {
  std::string png = Png(20, 30, 3);
  png[png.size() / 2] ^= 0x40;
  EXPECT_THAT(std::string(Decode(png).status().message()), HasSubstr("PNG: "));
  EXPECT_EQ(Decode(Png(20, 30, 3).substr(0, 100)).status(), absl::DataLossError("PNG: the file ends early"));
  EXPECT_EQ(Decode(EncodeJpeg(20, 30).substr(0, 700)).status(),
            absl::DataLossError("JPEG: Premature end of JPEG file"));
  const std::string webp = EncodeWebP(20, 30, false);
  EXPECT_EQ(Decode(webp.substr(0, webp.size() / 2)).status(), absl::DataLossError("WebP: the file ends early"));
}

// Where the library only warns and puts grey in place of what is lost.
TEST(DecodeImageTest, RefusesFaultyData) {
  std::string restarts = EncodeJpeg(40, 30, JpegKind::kRestarts);
  ASSERT_EQ(Decode(restarts).status(), absl::OkStatus());
  const size_t marker = restarts.find("\xff\xd0");
  ASSERT_NE(marker, std::string::npos);
  restarts[marker + 1] = '\xd5';
  const absl::Status resync = Decode(restarts).status();
  EXPECT_EQ(resync.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(resync.message()), HasSubstr("JPEG: Corrupt JPEG data: found marker 0xd5 instead of RST0"));

  // Most bits are some code of arithmetic coding: few of these faults make one that is none.
  const std::string arithmetic = EncodeJpeg(64, 64, JpegKind::kArithmetic, 100);
  ASSERT_EQ(Decode(arithmetic).status(), absl::OkStatus());
  int bad_codes = 0;
  for (size_t i = arithmetic.size() / 2; i < arithmetic.size() - 2; i += 7) {
    std::string faulty = arithmetic;
    faulty[i] = static_cast<char>(faulty[i] ^ 0x10);
    const absl::Status status = Decode(faulty).status();
    if (status == absl::DataLossError("JPEG: Corrupt JPEG data: bad arithmetic code")) ++bad_codes;
  }
  EXPECT_GT(bad_codes, 0);
}

// The start-of-frame marker, and the bits of a sample behind it.
TEST(DecodeImageTest, NamesAKindOfJpegThatIsNotDecoded) {
  const std::string baseline = EncodeJpeg(20, 30);
  const size_t frame = baseline.find(std::string("\xff\xc0", 2));
  std::string lossless = baseline, hierarchical = baseline, deep = baseline;
  lossless[frame + 1] = '\xc3';
  hierarchical[frame + 1] = '\xc5';
  deep[frame + 4] = 12;
  const std::string two = EncodeJpeg(20, 30, JpegKind::kTwoChannels);
  for (const auto& [bytes, message] : {std::pair{lossless, "Unsupported JPEG process: SOF type 0xc3; permitted are"},
                                       {hierarchical, "Unsupported JPEG process: SOF type 0xc5; permitted are"},
                                       {deep, "Unsupported JPEG data precision 12; permitted are"},
                                       {two, "Unsupported color conversion request; permitted are"}}) {
    const absl::Status status = Decode(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

TEST(EncodePngTest, RefusesWhatIsNoImage) {
  const std::vector<uint8_t> pixels(12);
  EXPECT_EQ(EncodePng(pixels, 2, 3, 2).status(),
            absl::InvalidArgumentError("PNG of 2 channels; permitted are 1, 3 and 4"));
  EXPECT_EQ(EncodePng(pixels, 0, 3, 3).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng(pixels, 2, -3, 3).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng(pixels, 1 << 30, 1 << 30, 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng(pixels, 2, 3, 3).status(),
            absl::InvalidArgumentError("PNG of 3x2x3 pixels (width x height x channels), but there are 12 bytes"));
}

}  // namespace
}  // namespace retort::ops
