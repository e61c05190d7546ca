// Augmentation ops by name, and what a level of an op is.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

#include "retort/ops/augment/augment_record.h"

namespace retort::data {

enum class AugmentOp {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutocontrast,
  kEqualize,
  kInvert,
  kHue,
};

// "shear_x".
absl::string_view Name(AugmentOp op);

// An op and its argument, as ops/augment/augment_record.h has it: a shear, pixels, degrees, a factor, bits, a threshold
// or a part of the colour circle. Ops without an argument have 0.
struct AugmentChoice {
  AugmentOp op = AugmentOp::kIdentity;
  double argument = 0;
};

// For images of `height` x `width` pixels.
ops::AugmentRecord RecordOf(const AugmentChoice& choice, int64_t height, int64_t width);

// Whose arguments a level stands for.
enum class AugmentSpace {
  kStandard,  // torchvision's AutoAugment and RandAugment
  kWide,      // its TrivialAugmentWide
  kMix,       // its AugMix
};

// The op at level `bin` of 0..bins-1, bins > 1: torchvision's magnitude, whose numbers are f32, and its argument for
// it. `negative` matters to ops with a sign only.
AugmentChoice AtLevel(AugmentOp op, AugmentSpace space, int bin, int bins, bool negative, int64_t height,
                      int64_t width);

}  // namespace retort::data
