// One augmentation step of one image, ready for the augment op.
#pragma once

#include <array>
#include <cstdint>

#include "retort/ops/augment/augment_record_words.h"

namespace retort::ops {

// Eight i32 in memory: the records of S steps of a batch are an i32 [B,S,8] buffer. Made by the functions below, each
// of which gives what Pillow gives, and torchvision's functions on Pillow images, pixel by pixel. A parameter out of
// its range, NaN included, makes a record of kind kInvalid, which Augment refuses.
//
// `a` is the pixel that a step blends with, `v` the image's: both get a + factor * (v - a) in f32, clipped to 0..255
// and truncated. A factor of 1 leaves the image, 0 gives `a`; factors are within -2^20..2^20.
struct AugmentRecord {
  AugmentKind kind = AugmentKind::kIdentity;
  float factor = 0;
  // kAffine: the matrix a0 a1 a2 a3 a4 a5 in 16.16: output (x, y) shows input ((a0 x + a1 y + a2) >> 16,
  // (a3 x + a4 y + a5) >> 16), black where there is none. kPosterize: the mask. kSolarize: the least value that is
  // inverted, 0..256. kHue: what is added to the hue, 0..255. Otherwise zero.
  std::array<int32_t, 6> values = {};

  static AugmentRecord Identity() { return {}; }

  // Input x = x + shear * y, from the corner (0, 0); |shear| <= 2^14. torchvision: affine with shear
  // degrees(atan(shear)) and center [0, 0].
  static AugmentRecord ShearX(double shear);
  static AugmentRecord ShearY(double shear);

  // Moves the image right or down; |pixels| < 2^15.
  static AugmentRecord TranslateX(int pixels);
  static AugmentRecord TranslateY(int pixels);

  // Counter-clockwise about the centre, for images of this size; height and width 0..2^14, |degrees| <= 2^20.
  static AugmentRecord Rotate(double degrees, int height, int width);

  // a = 0.
  static AugmentRecord Brightness(double factor);
  // a = the mean of the grey image, rounded.
  static AugmentRecord Contrast(double factor);
  // a = the pixel's grey, (19595 R + 38470 G + 7471 B + 32768) >> 16. Of one channel: the image itself.
  static AugmentRecord Color(double factor);
  // a = the sum of 3 x 3 pixels, the middle one five times, over 13, rounded; the border is left as it is.
  static AugmentRecord Sharpness(double factor);

  // Keeps the upper `bits` of each value, 1..8; 0 makes black, as torchvision's levels of AugMix ask for.
  static AugmentRecord Posterize(int bits);
  // Inverts the values that are not below `threshold`, 0..256.
  static AugmentRecord Solarize(double threshold);
  static AugmentRecord Invert() { return Solarize(0); }

  // Stretches each channel's values to 0..255.
  static AugmentRecord Autocontrast();
  // Makes each channel's values equally frequent.
  static AugmentRecord Equalize();

  // Turns the hue by `turn` of the circle, -0.5..0.5, through Pillow's HSV of 8 bits. Of one channel: the image itself.
  static AugmentRecord Hue(double turn);
};
static_assert(sizeof(AugmentRecord) == kAugmentRecordWords * sizeof(int32_t));

}  // namespace retort::ops
