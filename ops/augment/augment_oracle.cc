#include "retort/ops/augment/augment_oracle.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace retort::ops {
namespace {

struct Picture {
  const std::vector<uint8_t>& pixels;
  int height, width, channels;

  int at(int y, int x, int c) const { return pixels[static_cast<size_t>((y * width + x) * channels + c)]; }
  int grey(int y, int x) const {
    if (channels == 1) return at(y, x, 0);
    return (19595 * at(y, x, 0) + 38470 * at(y, x, 1) + 7471 * at(y, x, 2) + 32768) >> 16;
  }
};

int Blend(int a, int v, float factor) {
  const float product = factor * static_cast<float>(v - a);
  const float sum = static_cast<float>(a) + product;
  if (sum <= 0) return 0;
  return sum >= 255 ? 255 : static_cast<int>(sum);
}

int GreyMean(const Picture& picture) {
  int64_t sum = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) sum += picture.grey(y, x);
  }
  return static_cast<int>(static_cast<double>(sum) / (picture.height * picture.width) + 0.5);
}

std::array<int, 256> Histogram(const Picture& picture, int c) {
  std::array<int, 256> count = {};
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) ++count[static_cast<size_t>(picture.at(y, x, c))];
  }
  return count;
}

int Autocontrast(const Picture& picture, int c, int v) {
  const std::array<int, 256> count = Histogram(picture, c);
  int low = 0, high = 255;
  while (count[static_cast<size_t>(low)] == 0) ++low;
  while (count[static_cast<size_t>(high)] == 0) --high;
  if (high <= low) return v;
  const double scale = 255.0 / (high - low);
  const double offset = -low * scale;
  const double product = v * scale;
  return std::clamp(static_cast<int>(product + offset), 0, 255);
}

int Equalize(const Picture& picture, int c, int v) {
  const std::array<int, 256> count = Histogram(picture, c);
  int kinds = 0, last = 0;
  for (const int n : count) {
    if (n > 0) {
      ++kinds;
      last = n;
    }
  }
  const int step = (picture.height * picture.width - last) / 255;
  if (kinds <= 1 || step == 0) return v;
  int n = step / 2;
  for (int i = 0; i < v; ++i) n += count[static_cast<size_t>(i)];
  return std::min(n / step, 255);
}

int Affine(const std::array<int32_t, 6>& a, const Picture& picture, int y, int x, int c) {
  const int64_t from_x = (int64_t{a[0]} * x + int64_t{a[1]} * y + a[2]) >> 16;
  const int64_t from_y = (int64_t{a[3]} * x + int64_t{a[4]} * y + a[5]) >> 16;
  if (from_x < 0 || from_x >= picture.width || from_y < 0 || from_y >= picture.height) return 0;
  return picture.at(static_cast<int>(from_y), static_cast<int>(from_x), c);
}

int Sharpness(const Picture& picture, int y, int x, int c, float factor) {
  const int v = picture.at(y, x, c);
  if (y == 0 || x == 0 || y == picture.height - 1 || x == picture.width - 1) return v;
  double sum = 4 * v;
  for (const int dy : {-1, 0, 1}) {
    for (const int dx : {-1, 0, 1}) sum += picture.at(y + dy, x + dx, c);
  }
  return Blend(static_cast<int>(std::lround(sum / 13)), v, factor);
}

// Pillow's conversions to HSV and back, with its types.
std::array<int, 3> Hue(int red, int green, int blue, int shift) {
  const int most = std::max({red, green, blue}), least = std::min({red, green, blue});
  int h = 0, s = 0;
  if (most != least) {
    const float range = static_cast<float>(most - least);
    const float r = static_cast<float>(most - red) / range;
    const float g = static_cast<float>(most - green) / range;
    const float b = static_cast<float>(most - blue) / range;
    float hue;
    if (red == most) {
      hue = b - g;
    } else if (green == most) {
      hue = static_cast<float>(2.0 + static_cast<double>(r) - static_cast<double>(b));
    } else {
      hue = static_cast<float>(4.0 + static_cast<double>(g) - static_cast<double>(r));
    }
    hue = static_cast<float>(std::fmod(static_cast<double>(hue) / 6.0 + 1.0, 1.0));
    h = static_cast<int>(static_cast<double>(hue) * 255.0);
    s = static_cast<int>(static_cast<double>(range / static_cast<float>(most)) * 255.0);
  }
  h = (h + shift) % 256;
  if (s == 0) return {most, most, most};
  const int sector = static_cast<int>(std::floor(h * 6.0 / 255.0));
  const float f = static_cast<float>(h * 6.0 / 255.0 - sector);
  const float fs = static_cast<float>(s / 255.0);
  const int p = static_cast<int>(std::round(most * (1.0 - static_cast<double>(fs))));
  const int q = static_cast<int>(std::round(most * (1.0 - static_cast<double>(fs * f))));
  const int t = static_cast<int>(std::round(most * (1.0 - static_cast<double>(fs) * (1.0 - static_cast<double>(f)))));
  switch (sector % 6) {
    case 0:
      return {most, t, p};
    case 1:
      return {q, most, p};
    case 2:
      return {p, most, t};
    case 3:
      return {p, q, most};
    case 4:
      return {t, p, most};
    default:
      return {most, p, q};
  }
}

}  // namespace

std::vector<uint8_t> AugmentOracle(const AugmentRecord& record, const std::vector<uint8_t>& image, int height,
                                   int width, int channels) {
  if (image.empty()) return {};
  const Picture picture = {image, height, width, channels};
  const int mean = GreyMean(picture);
  std::array<std::array<int, 256>, 3> table = {};
  for (int c = 0; c < channels; ++c) {
    for (int v = 0; v < 256; ++v) {
      table[static_cast<size_t>(c)][static_cast<size_t>(v)] =
          record.kind == AugmentKind::kEqualize       ? Equalize(picture, c, v)
          : record.kind == AugmentKind::kAutocontrast ? Autocontrast(picture, c, v)
                                                      : 0;
    }
  }
  const auto value = [&](int y, int x, int c) {
    const int v = picture.at(y, x, c);
    switch (record.kind) {
      case AugmentKind::kInvalid:
      case AugmentKind::kIdentity:
        return v;
      case AugmentKind::kBrightness:
        return Blend(0, v, record.factor);
      case AugmentKind::kContrast:
        return Blend(mean, v, record.factor);
      case AugmentKind::kPosterize:
        return v & record.values[0];
      case AugmentKind::kSolarize:
        return v < record.values[0] ? v : 255 - v;
      case AugmentKind::kAutocontrast:
      case AugmentKind::kEqualize:
        return table[static_cast<size_t>(c)][static_cast<size_t>(v)];
      case AugmentKind::kAffine:
        return Affine(record.values, picture, y, x, c);
      case AugmentKind::kColor:
        return Blend(picture.grey(y, x), v, record.factor);
      case AugmentKind::kSharpness:
        return Sharpness(picture, y, x, c, record.factor);
      case AugmentKind::kHue:
        return channels == 1 ? v
                             : Hue(picture.at(y, x, 0), picture.at(y, x, 1), picture.at(y, x, 2),
                                   record.values[0])[static_cast<size_t>(c)];
    }
    return v;
  };
  std::vector<uint8_t> result;
  result.reserve(image.size());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) result.push_back(static_cast<uint8_t>(value(y, x, c)));
    }
  }
  return result;
}

}  // namespace retort::ops
