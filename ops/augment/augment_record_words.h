// How an augmentation step lies in memory: what augment_record.h and the kernels share.
#pragma once

#include <cstdint>

namespace retort::ops {

// In front those that map each pixel value alone, by a table.
enum class AugmentKind : int32_t {
  kInvalid = -1,
  kIdentity = 0,
  kBrightness = 1,
  kContrast = 2,
  kPosterize = 3,
  kSolarize = 4,
  kAutocontrast = 5,
  kEqualize = 6,
  kAffine = 7,
  kColor = 8,
  kSharpness = 9,
  kHue = 10,
};

inline constexpr int kAugmentRecordWords = 8;

}  // namespace retort::ops
