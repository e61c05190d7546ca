#include "retort/data/views/crop_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace retort::data {
namespace {

using config::AugmentStep;

constexpr uint32_t kAttempts = 10;

double Uniform(uint64_t bits, double min, double max) { return min + (max - min) * UniformDouble(bits); }

// To the nearest integer, of two as near to the even one, as Python's round().
int32_t Round(double x) { return static_cast<int32_t>(std::nearbyint(x)); }

// The offset of a box of `size` within `whole`, all equally likely.
int32_t Offset(uint64_t bits, int whole, int size) {
  return static_cast<int32_t>(UniformInt(bits, static_cast<uint64_t>(whole - size + 1)));
}

// What an attempt draws.
struct Shape {
  double area, aspect;
};

template <typename Step>
Shape DrawShape(const Step& step, int height, int width, const PhiloxBits& bits) {
  const double area = static_cast<double>(height) * width * Uniform(bits[0], step.min_area(), step.max_area());
  const double aspect = std::exp(Uniform(bits[1], std::log(step.min_aspect()), std::log(step.max_aspect())));
  return {area, aspect};
}

template <typename Step>
absl::Status CheckRanges(const char* name, const Step& step, bool probability_holds = true) {
  const bool holds = step.min_area() >= 0 && step.min_area() <= step.max_area() && step.max_area() <= 1 &&
                     step.min_aspect() > 0 && step.min_aspect() <= step.max_aspect() &&
                     std::isfinite(step.max_aspect());
  if (holds && probability_holds) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s has area %g..%g and aspect %g..%g; permitted are 0 <= min_area <= max_area <= 1, "
                      "0 < min_aspect <= max_aspect, and probabilities in 0..1",
                      name, step.min_area(), step.max_area(), step.min_aspect(), step.max_aspect()));
}

absl::Status CheckSide(const char* name, int size) {
  if (size >= 1 && size <= 1 << 14) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s.size is %d; permitted are 1..%d", name, size, 1 << 14));
}

}  // namespace

Rectangle DrawResizedCrop(const config::RandomResizedCrop& step, int height, int width, const StepBits& bits) {
  for (uint32_t n = 0; n < kAttempts; ++n) {
    const Shape shape = DrawShape(step, height, width, bits(2 * n));
    const double w = std::nearbyint(std::sqrt(shape.area * shape.aspect)),
                 h = std::nearbyint(std::sqrt(shape.area / shape.aspect));
    if (!(w > 0 && w <= width && h > 0 && h <= height)) continue;
    const PhiloxBits place = bits(2 * n + 1);
    const auto box_height = static_cast<int32_t>(h), box_width = static_cast<int32_t>(w);
    return {Offset(place[0], height, box_height), Offset(place[1], width, box_width), box_height, box_width};
  }
  const double aspect = static_cast<double>(width) / height;
  Rectangle box = {0, 0, height, width};
  if (aspect < step.min_aspect()) box.height = std::max(Round(width / step.min_aspect()), 1);
  if (aspect > step.max_aspect()) box.width = std::max(Round(height * step.max_aspect()), 1);
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

absl::Status CheckErasing(const config::RandomErasing& step) {
  return CheckRanges("random_erasing", step, step.probability() >= 0 && step.probability() <= 1);
}

Rectangle DrawErasing(const config::RandomErasing& step, int height, int width, const StepBits& bits) {
  if (UniformDouble(bits(0)[0]) >= step.probability()) return {};
  for (uint32_t n = 0; n < kAttempts; ++n) {
    const Shape shape = DrawShape(step, height, width, bits(2 * n + 1));
    const double h = std::nearbyint(std::sqrt(shape.area * shape.aspect)),
                 w = std::nearbyint(std::sqrt(shape.area / shape.aspect));
    if (!(h < height && w < width)) continue;
    const PhiloxBits place = bits(2 * n + 2);
    const auto box_height = static_cast<int32_t>(h), box_width = static_cast<int32_t>(w);
    return {Offset(place[0], height, box_height), Offset(place[1], width, box_width), box_height, box_width};
  }
  return {};
}

Rectangle ResizedShorterSide(int height, int width, int size) {
  // Of a thread of an image it is too much for any op, which then says so.
  const auto longer = static_cast<int32_t>(std::min<int64_t>(
      int64_t{size} * std::max(height, width) / std::min(height, width), std::numeric_limits<int32_t>::max()));
  return width <= height ? Rectangle{0, 0, longer, size} : Rectangle{0, 0, size, longer};
}

Rectangle CentralSquare(int height, int width, int size) {
  return {Round((height - size) / 2.0), Round((width - size) / 2.0), size, size};
}

absl::StatusOr<CropPlan> CropPlan::Create(const google::protobuf::RepeatedPtrField<AugmentStep>& steps, uint64_t seed) {
  CropPlan plan;
  plan.seed_ = seed;
  // What has come: each kind must come after those below it.
  enum { kNothing, kResize, kSized, kFlip, kPolicy, kErasing } state = kNothing;
  int last_policy = AugmentStep::STEP_NOT_SET;
  const auto order = [](int i) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "augment step[%d] is out of place; views of a size of their own are made by random_resized_crop, or resize and "
        "center_crop, then at most one flip, one of each policy such as rand_augment, and one random_erasing",
        i));
  };
  for (int i = 0; i < steps.size(); ++i) {
    const AugmentStep& step = steps[i];
    absl::Status status;
    switch (step.step_case()) {
      case AugmentStep::kRandomResizedCrop:
        if (state != kNothing) return order(i);
        state = kSized;
        plan.is_random_ = true;
        plan.crop_ = step.random_resized_crop();
        status = CheckRanges("random_resized_crop", plan.crop_);
        if (status.ok()) status = CheckSide("random_resized_crop", plan.crop_.size());
        break;
      case AugmentStep::kResize:
        if (state != kNothing) return order(i);
        state = kResize;
        plan.resize_ = step.resize();
        status = CheckSide("resize", plan.resize_.size());
        break;
      case AugmentStep::kCenterCrop:
        if (state != kResize) return order(i);
        state = kSized;
        plan.central_ = step.center_crop();
        status = CheckSide("center_crop", plan.central_.size());
        if (status.ok() && plan.central_.size() > plan.resize_.size()) {
          status = absl::InvalidArgumentError(
              absl::StrFormat("center_crop.size is %d, but resize leaves %d; permitted are 1..%d", plan.central_.size(),
                              plan.resize_.size(), plan.resize_.size()));
        }
        break;
      case AugmentStep::kFlip:
        if (state != kSized) return order(i);
        state = kFlip;
        plan.flip_probability_ = step.flip().probability();
        if (!(plan.flip_probability_ >= 0 && plan.flip_probability_ <= 1)) {
          status = absl::InvalidArgumentError(
              absl::StrFormat("flip.probability is %g; permitted are 0..1", plan.flip_probability_));
        }
        break;
      case AugmentStep::kAutoAugment:
      case AugmentStep::kRandAugment:
      case AugmentStep::kTrivialAugment:
      case AugmentStep::kAugMix:
      case AugmentStep::kColorJitter: {
        // Policies are numbered in the order they must come in.
        if (state < kSized || state > kPolicy || step.step_case() <= last_policy) return order(i);
        state = kPolicy;
        last_policy = step.step_case();
        absl::StatusOr<AugmentPolicy> policy = AugmentPolicy::Create(step);
        status = policy.status();
        if (status.ok()) plan.policies_.push_back(*std::move(policy));
        break;
      }
      case AugmentStep::kRandomErasing:
        if (state < kSized || state == kErasing) return order(i);
        state = kErasing;
        plan.erasing_ = step.random_erasing();
        status = CheckErasing(plan.erasing_);
        break;
      default:  // None, and the kinds of views that have the size of the images or are mixed.
        return order(i);
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat("augment step[%d]: %s", i, status.message()));
    }
  }
  if (state < kSized) {
    return absl::InvalidArgumentError(
        "augment gives no size to the views; begin with random_resized_crop, or resize and center_crop");
  }
  if (state != kErasing) plan.erasing_.set_probability(0);
  return plan;
}

ops::Filter CropPlan::filter() const {
  switch (is_random_ ? crop_.filter() : resize_.filter()) {
    case config::BILINEAR:
      return ops::Filter::kBilinear;
    case config::BICUBIC:
      return ops::Filter::kBicubic;
    case config::NEAREST:
      return ops::Filter::kNearest;
  }
  return ops::Filter::kBilinear;
}

CropPlan CropPlan::Resized(int size) const {
  CropPlan plan = *this;
  if (is_random_) {
    plan.crop_.set_size(size);
  } else {
    plan.resize_.set_size(Round(static_cast<double>(resize_.size()) * size / central_.size()));
    plan.central_.set_size(size);
  }
  return plan;
}

ops::CropResizeParams CropPlan::Draw(int64_t image, int64_t view, int height, int width) const {
  const auto bits = [&](AugmentStep::StepCase step) {
    return StepBits(seed_, image, view, static_cast<uint32_t>(step));
  };
  ops::CropResizeParams params;
  Rectangle box = {0, 0, height, width}, resized = {0, 0, size(), size()}, window = resized;
  if (is_random_) {
    box = DrawResizedCrop(crop_, height, width, bits(AugmentStep::kRandomResizedCrop));
  } else {
    resized = ResizedShorterSide(height, width, resize_.size());
    window = CentralSquare(resized.height, resized.width, central_.size());
  }
  const Rectangle erased = DrawErasing(erasing_, size(), size(), bits(AugmentStep::kRandomErasing));
  params.top = box.top;
  params.left = box.left;
  params.height = box.height;
  params.width = box.width;
  params.resized_height = resized.height;
  params.resized_width = resized.width;
  params.window_top = window.top;
  params.window_left = window.left;
  params.flip = UniformDouble(bits(AugmentStep::kFlip)(0)[0]) < flip_probability_ ? 1 : 0;
  params.erase_top = erased.top;
  params.erase_left = erased.left;
  params.erase_height = erased.height;
  params.erase_width = erased.width;
  return params;
}

}  // namespace retort::data
