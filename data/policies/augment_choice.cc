#include "retort/data/policies/augment_choice.h"

#include <algorithm>
#include <cmath>

namespace retort::data {
namespace {

// torch.linspace(first, last, bins)[bin]: in f32, from the nearer end, product and sum fused.
double Linspace(double first, double last, int bin, int bins) {
  const float start = static_cast<float>(first), end = static_cast<float>(last);
  const float step = (end - start) / static_cast<float>(bins - 1);
  if (bin < bins / 2) return std::fma(step, static_cast<float>(bin), start);
  return std::fma(-step, static_cast<float>(bins - 1 - bin), end);
}

// From `most` down by `range`, rounded as torch rounds.
double Bits(int most, int range, int bin, int bins) {
  const float width = static_cast<float>((bins - 1) / static_cast<double>(range));
  return most - static_cast<double>(std::nearbyint(static_cast<float>(bin) / width));
}

// The greatest translation of a side.
double Translation(AugmentSpace space, int64_t side) {
  switch (space) {
    case AugmentSpace::kStandard:
      return 150.0 / 331.0 * static_cast<double>(side);
    case AugmentSpace::kWide:
      return 32;
    case AugmentSpace::kMix:
      return static_cast<double>(side) / 3.0;
  }
  return 0;
}

}  // namespace

absl::string_view Name(AugmentOp op) {
  switch (op) {
    case AugmentOp::kIdentity:
      return "identity";
    case AugmentOp::kShearX:
      return "shear_x";
    case AugmentOp::kShearY:
      return "shear_y";
    case AugmentOp::kTranslateX:
      return "translate_x";
    case AugmentOp::kTranslateY:
      return "translate_y";
    case AugmentOp::kRotate:
      return "rotate";
    case AugmentOp::kBrightness:
      return "brightness";
    case AugmentOp::kColor:
      return "color";
    case AugmentOp::kContrast:
      return "contrast";
    case AugmentOp::kSharpness:
      return "sharpness";
    case AugmentOp::kPosterize:
      return "posterize";
    case AugmentOp::kSolarize:
      return "solarize";
    case AugmentOp::kAutocontrast:
      return "autocontrast";
    case AugmentOp::kEqualize:
      return "equalize";
    case AugmentOp::kInvert:
      return "invert";
    case AugmentOp::kHue:
      return "hue";
  }
  return "";
}

ops::AugmentRecord RecordOf(const AugmentChoice& choice, int64_t height, int64_t width) {
  using ops::AugmentRecord;
  // For those that take whole numbers: a number that is none stays out of every range.
  const double argument = std::isfinite(choice.argument) ? std::clamp(choice.argument, -0x1p30, 0x1p30) : 0x1p30;
  switch (choice.op) {
    case AugmentOp::kIdentity:
      return AugmentRecord::Identity();
    case AugmentOp::kShearX:
      return AugmentRecord::ShearX(argument);
    case AugmentOp::kShearY:
      return AugmentRecord::ShearY(argument);
    case AugmentOp::kTranslateX:
      return AugmentRecord::TranslateX(static_cast<int>(argument));
    case AugmentOp::kTranslateY:
      return AugmentRecord::TranslateY(static_cast<int>(argument));
    case AugmentOp::kRotate:
      return AugmentRecord::Rotate(argument, static_cast<int>(height), static_cast<int>(width));
    case AugmentOp::kBrightness:
      return AugmentRecord::Brightness(argument);
    case AugmentOp::kColor:
      return AugmentRecord::Color(argument);
    case AugmentOp::kContrast:
      return AugmentRecord::Contrast(argument);
    case AugmentOp::kSharpness:
      return AugmentRecord::Sharpness(argument);
    case AugmentOp::kPosterize:
      return AugmentRecord::Posterize(static_cast<int>(argument));
    case AugmentOp::kSolarize:
      return AugmentRecord::Solarize(argument);
    case AugmentOp::kAutocontrast:
      return AugmentRecord::Autocontrast();
    case AugmentOp::kEqualize:
      return AugmentRecord::Equalize();
    case AugmentOp::kInvert:
      return AugmentRecord::Invert();
    case AugmentOp::kHue:
      return AugmentRecord::Hue(argument);
  }
  return {};
}

AugmentChoice AtLevel(AugmentOp op, AugmentSpace space, int bin, int bins, bool negative, int64_t height,
                      int64_t width) {
  const bool wide = space == AugmentSpace::kWide;
  const auto level = [&](double greatest) {
    const double magnitude = Linspace(0, greatest, bin, bins);
    return negative ? -magnitude : magnitude;
  };
  switch (op) {
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return {op, level(wide ? 0.99 : 0.3)};
    case AugmentOp::kTranslateX:
      return {op, std::trunc(level(Translation(space, width)))};
    case AugmentOp::kTranslateY:
      return {op, std::trunc(level(Translation(space, height)))};
    case AugmentOp::kRotate:
      return {op, level(wide ? 135 : 30)};
    case AugmentOp::kBrightness:
    case AugmentOp::kColor:
    case AugmentOp::kContrast:
    case AugmentOp::kSharpness:
      return {op, 1 + level(wide ? 0.99 : 0.9)};
    case AugmentOp::kPosterize:
      return {op, Bits(space == AugmentSpace::kMix ? 4 : 8, wide ? 6 : 4, bin, bins)};
    case AugmentOp::kSolarize:
      return {op, Linspace(255, 0, bin, bins)};
    case AugmentOp::kIdentity:
    case AugmentOp::kAutocontrast:
    case AugmentOp::kEqualize:
    case AugmentOp::kInvert:
    case AugmentOp::kHue:  // Never by level.
      return {op, 0};
  }
  return {};
}

}  // namespace retort::data
