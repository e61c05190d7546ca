#include "retort/data/views/augment_plan.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#include "retort/data/philox.h"
#include "retort/data/views/crop_plan.h"

namespace retort::data {
namespace {

// The schema's.
constexpr int32_t kGreatestPad = 64;

using config::AugmentStep;

// A step's tag in the counter: its field number in AugmentStep, which is never given to another kind.
PhiloxBits DrawBits(uint64_t seed, int64_t image, int64_t view, AugmentStep::StepCase step) {
  return Philox(seed, static_cast<uint64_t>(image), static_cast<uint32_t>(view), static_cast<uint32_t>(step));
}

int32_t UniformShift(uint64_t bits, int32_t pad) {
  return static_cast<int32_t>(UniformInt(bits, 2 * static_cast<uint64_t>(pad) + 1)) - pad;
}

ops::Border BorderOf(const config::Crop& crop) {
  switch (crop.border()) {
    case config::Crop::ZERO:
      return ops::Border::kZero;
    case config::Crop::REFLECT:
      return ops::Border::kReflect;
  }
  return ops::Border::kZero;
}

}  // namespace

absl::StatusOr<AugmentPlan> AugmentPlan::Create(const google::protobuf::RepeatedPtrField<AugmentStep>& steps,
                                                uint64_t seed) {
  AugmentPlan plan;
  plan.seed_ = seed;
  int previous = AugmentStep::STEP_NOT_SET;
  for (int i = 0; i < steps.size(); ++i) {
    const AugmentStep& step = steps[i];
    switch (step.step_case()) {
      case AugmentStep::kCrop:
        plan.pad_ = step.crop().pad();
        plan.border_ = BorderOf(step.crop());
        if (plan.pad_ < 0 || plan.pad_ > kGreatestPad) {
          return absl::InvalidArgumentError(
              absl::StrFormat("augment step[%d]: crop.pad is %d; permitted are 0..%d", i, plan.pad_, kGreatestPad));
        }
        break;
      case AugmentStep::kFlip:
        plan.flip_probability_ = step.flip().probability();
        if (!(plan.flip_probability_ >= 0 && plan.flip_probability_ <= 1)) {
          return absl::InvalidArgumentError(absl::StrFormat(
              "augment step[%d]: flip.probability is %g; permitted are 0..1", i, plan.flip_probability_));
        }
        break;
      case AugmentStep::kAutoAugment:
      case AugmentStep::kRandAugment:
      case AugmentStep::kTrivialAugment:
      case AugmentStep::kAugMix:
      case AugmentStep::kColorJitter: {
        absl::StatusOr<AugmentPolicy> policy = AugmentPolicy::Create(step);
        if (!policy.ok()) {
          return absl::InvalidArgumentError(absl::StrFormat("augment step[%d]: %s", i, policy.status().message()));
        }
        plan.policies_.push_back(*std::move(policy));
        break;
      }
      case AugmentStep::kCutout:
        plan.cutout_ = step.cutout().size();
        if (plan.cutout_ < 1) {
          return absl::InvalidArgumentError(
              absl::StrFormat("augment step[%d]: cutout.size is %d; it must be at least 1", i, plan.cutout_));
        }
        break;
      case AugmentStep::kRandomErasing: {
        plan.erasing_ = step.random_erasing();
        if (absl::Status status = CheckErasing(plan.erasing_); !status.ok()) {
          return absl::InvalidArgumentError(absl::StrFormat("augment step[%d]: %s", i, status.message()));
        }
        if (plan.cutout_ > 0) {
          return absl::InvalidArgumentError(absl::StrFormat(
              "augment step[%d] is random_erasing after cutout; a view has one erased rectangle, so give one of both",
              i));
        }
        break;
      }
      case AugmentStep::kRandomResizedCrop:
      case AugmentStep::kResize:
      case AugmentStep::kCenterCrop:
      case AugmentStep::kMixup:
      case AugmentStep::kCutMix:
        return absl::InvalidArgumentError(absl::StrFormat(
            "augment step[%d] is out of place: views have the size of the images unless the first step "
            "gives them another. Permitted are crop, flip, policies such as auto_augment, and cutout or random_erasing",
            i));
      case AugmentStep::STEP_NOT_SET:
        return absl::InvalidArgumentError(
            absl::StrFormat("augment step[%d] is empty; give crop, flip, auto_augment, rand_augment, trivial_augment, "
                            "aug_mix, color_jitter, cutout or random_erasing",
                            i));
    }
    // These kinds are numbered in the order they must come in.
    if (step.step_case() <= previous) {
      return absl::InvalidArgumentError(
          absl::StrFormat("augment step[%d] is a second one of its kind or comes too late; permitted is at most one of "
                          "each, in the order crop, flip, auto_augment, rand_augment, trivial_augment, aug_mix, "
                          "color_jitter, cutout, random_erasing",
                          i));
    }
    previous = step.step_case();
  }
  return plan;
}

ops::BatchAssemblyParams AugmentPlan::Draw(int64_t image, int64_t view, int64_t height, int64_t width) const {
  const PhiloxBits crop = DrawBits(seed_, image, view, AugmentStep::kCrop);
  const PhiloxBits flip = DrawBits(seed_, image, view, AugmentStep::kFlip);
  ops::BatchAssemblyParams params;
  params.dy = UniformShift(crop[0], pad_);
  params.dx = UniformShift(crop[1], pad_);
  params.flip = UniformDouble(flip[0]) < flip_probability_ ? 1 : 0;
  if (cutout_ > 0) {
    const PhiloxBits centre = DrawBits(seed_, image, view, AugmentStep::kCutout);
    params.erase.top = static_cast<int32_t>(UniformInt(centre[0], static_cast<uint64_t>(height))) - cutout_ / 2;
    params.erase.left = static_cast<int32_t>(UniformInt(centre[1], static_cast<uint64_t>(width))) - cutout_ / 2;
    params.erase.bottom = params.erase.top + cutout_;
    params.erase.right = params.erase.left + cutout_;
  }
  if (erasing_.probability() > 0) {
    const Rectangle erased =
        DrawErasing(erasing_, static_cast<int>(height), static_cast<int>(width),
                    StepBits(seed_, image, view, static_cast<uint32_t>(AugmentStep::kRandomErasing)));
    params.erase = {erased.top, erased.left, erased.top + erased.height, erased.left + erased.width};
  }
  return params;
}

}  // namespace retort::data
