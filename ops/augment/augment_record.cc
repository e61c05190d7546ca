#include "retort/ops/augment/augment_record.h"

#include <cmath>

namespace retort::ops {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kGreatestFactor = 1 << 20;

double Radians(double degrees) { return degrees * (kPi / 180); }
double Degrees(double radians) { return radians * (180 / kPi); }

AugmentRecord Invalid() { return {.kind = AugmentKind::kInvalid}; }

// False for NaN.
bool Within(double value, double least, double greatest) { return value >= least && value <= greatest; }

AugmentRecord Blend(AugmentKind kind, double factor) {
  if (!Within(factor, -kGreatestFactor, kGreatestFactor)) return Invalid();
  return {.kind = kind, .factor = static_cast<float>(factor)};
}

AugmentRecord WithValue(AugmentKind kind, int32_t value) { return {.kind = kind, .values = {value}}; }

// The map from output to input coordinates in the plane, as Pillow turns it into 16.16 about pixel centres.
AugmentRecord Affine(const std::array<double, 6>& a) {
  const std::array<double, 6> centred = {a[0], a[1], a[2] + a[0] * 0.5 + a[1] * 0.5,
                                         a[3], a[4], a[5] + a[3] * 0.5 + a[4] * 0.5};
  AugmentRecord record{.kind = AugmentKind::kAffine};
  for (size_t i = 0; i < centred.size(); ++i) {
    const double fixed = std::floor(centred[i] * 65536.0 + 0.5);
    if (!Within(fixed, -0x1p31, 0x1p31 - 1)) return Invalid();
    record.values[i] = static_cast<int32_t>(fixed);
  }
  return record;
}

// torchvision's inverse matrix of a shear by angles, whose errors of rounding reach the last bit of 16.16.
AugmentRecord Shear(double shear_x, double shear_y) {
  if (!Within(shear_x, -0x1p14, 0x1p14) || !Within(shear_y, -0x1p14, 0x1p14)) return Invalid();
  const double x = Radians(Degrees(std::atan(shear_x))), y = Radians(Degrees(std::atan(shear_y)));
  const double a = std::cos(-y) / std::cos(y);
  const double b = -std::cos(-y) * std::tan(x) / std::cos(y);
  const double c = std::sin(-y) / std::cos(y);
  const double d = -std::sin(-y) * std::tan(x) / std::cos(y) + 1.0;
  return Affine({d, -b, 0, -c, a, 0});
}

AugmentRecord Translate(int x, int y) {
  if (!Within(x, -32767, 32767) || !Within(y, -32767, 32767)) return Invalid();
  return Affine({1, 0, -static_cast<double>(x), 0, 1, -static_cast<double>(y)});
}

// To 15 digits after the point, as Pillow rounds sines and cosines.
double Rounded(double value) { return std::nearbyint(value * 1e15) / 1e15; }

}  // namespace

AugmentRecord AugmentRecord::ShearX(double shear) { return Shear(shear, 0); }
AugmentRecord AugmentRecord::ShearY(double shear) { return Shear(0, shear); }
AugmentRecord AugmentRecord::TranslateX(int pixels) { return Translate(pixels, 0); }
AugmentRecord AugmentRecord::TranslateY(int pixels) { return Translate(0, pixels); }

AugmentRecord AugmentRecord::Rotate(double degrees, int height, int width) {
  if (!Within(degrees, -0x1p20, 0x1p20) || !Within(height, 0, 1 << 14) || !Within(width, 0, 1 << 14)) return Invalid();
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360.0;
  const double angle = -Radians(turn);
  const double cosine = Rounded(std::cos(angle)), sine = Rounded(std::sin(angle));
  const double x = width / 2.0, y = height / 2.0;
  return Affine({cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y});
}

AugmentRecord AugmentRecord::Brightness(double factor) { return Blend(AugmentKind::kBrightness, factor); }
AugmentRecord AugmentRecord::Contrast(double factor) { return Blend(AugmentKind::kContrast, factor); }
AugmentRecord AugmentRecord::Color(double factor) { return Blend(AugmentKind::kColor, factor); }
AugmentRecord AugmentRecord::Sharpness(double factor) { return Blend(AugmentKind::kSharpness, factor); }

AugmentRecord AugmentRecord::Posterize(int bits) {
  if (!Within(bits, 0, 8)) return Invalid();
  return WithValue(AugmentKind::kPosterize, 0xff & ~((1 << (8 - bits)) - 1));
}

AugmentRecord AugmentRecord::Solarize(double threshold) {
  if (!Within(threshold, 0, 256)) return Invalid();
  return WithValue(AugmentKind::kSolarize, static_cast<int32_t>(std::ceil(threshold)));
}

AugmentRecord AugmentRecord::Autocontrast() { return {.kind = AugmentKind::kAutocontrast}; }
AugmentRecord AugmentRecord::Equalize() { return {.kind = AugmentKind::kEqualize}; }

AugmentRecord AugmentRecord::Hue(double turn) {
  if (!Within(turn, -0.5, 0.5)) return Invalid();
  return WithValue(AugmentKind::kHue, static_cast<int32_t>(turn * 255) & 0xff);
}

}  // namespace retort::ops
