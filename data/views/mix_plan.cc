#include "retort/data/views/mix_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#include "retort/data/draws.h"

namespace retort::data {
namespace {

using config::AugmentStep;

// Tag of DrawPartner, beyond those of steps.
constexpr uint32_t kPartner = 255;

template <typename Step>
absl::Status Check(const char* name, const Step& step) {
  if (step.alpha() >= 0.01 && step.alpha() <= 1000 && step.probability() >= 0 && step.probability() <= 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s has alpha %g and probability %g; permitted are 0.01..1000 and 0..1", name, step.alpha(), step.probability()));
}

}  // namespace

absl::StatusOr<MixPlan> MixPlan::Create(const google::protobuf::RepeatedPtrField<AugmentStep>& steps, uint64_t seed,
                                        Partners partners) {
  MixPlan plan;
  plan.seed_ = seed;
  plan.partners_ = partners;
  plan.mixup_.set_probability(0);
  plan.cut_mix_.set_probability(0);
  int previous = AugmentStep::STEP_NOT_SET;
  for (const AugmentStep& step : steps) {
    absl::Status status;
    if (step.has_mixup()) {
      plan.mixup_ = step.mixup();
      status = Check("mixup", plan.mixup_);
    } else if (step.has_cut_mix()) {
      plan.cut_mix_ = step.cut_mix();
      status = Check("cut_mix", plan.cut_mix_);
    }
    if (!status.ok()) return status;
    if ((!step.has_mixup() && !step.has_cut_mix()) || step.step_case() <= previous) {
      return absl::InvalidArgumentError(
          "augment has a step out of place: mixup and cut_mix, at most one of each, in this order, come after all "
          "others");
    }
    previous = step.step_case();
  }
  if (plan.mixup_.probability() + plan.cut_mix_.probability() > 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the probabilities of mixup and cut_mix are %g and %g; an image gets one of both, so they add up to 1 at most",
        plan.mixup_.probability(), plan.cut_mix_.probability()));
  }
  return plan;
}

MixPlan::Mix MixPlan::Draw(int64_t image, int64_t view, int64_t height, int64_t width) const {
  Mix mix;
  Draws mixup(seed_, image, view, static_cast<uint32_t>(AugmentStep::kMixup));
  const double which = mixup.Uniform();
  if (which < mixup_.probability()) {
    mix.lambda = static_cast<float>(mixup.Dirichlet(mixup_.alpha(), 2)[0]);
    mix.label = mix.lambda;
  } else if (which < mixup_.probability() + cut_mix_.probability()) {
    Draws cut_mix(seed_, image, view, static_cast<uint32_t>(AugmentStep::kCutMix));
    const double half = std::sqrt(cut_mix.Dirichlet(cut_mix_.alpha(), 2)[1]) / 2;
    const auto clip = [](int64_t x, int64_t size) {
      return static_cast<int32_t>(std::min(std::max<int64_t>(x, 0), size));
    };
    const auto y = cut_mix.Index(static_cast<size_t>(height)), x = cut_mix.Index(static_cast<size_t>(width));
    const auto half_height = static_cast<int64_t>(half * static_cast<double>(height)),
               half_width = static_cast<int64_t>(half * static_cast<double>(width));
    mix.box = {clip(y - half_height, height), clip(x - half_width, width), clip(y + half_height, height),
               clip(x + half_width, width)};
    const int64_t area = int64_t{mix.box.bottom - mix.box.top} * (mix.box.right - mix.box.left);
    mix.label = static_cast<float>(1 - static_cast<double>(area) / static_cast<double>(height * width));
  }
  return mix;
}

int64_t MixPlan::DrawPartner(int64_t image, int64_t view, int64_t images) const {
  if (images == 1) return image;
  const int64_t drawn = Draws(seed_, image, view, kPartner).Index(static_cast<size_t>(images - 1));
  return drawn < image ? drawn : drawn + 1;
}

}  // namespace retort::data
