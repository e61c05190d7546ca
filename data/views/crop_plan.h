// Which part of an image each view of a size of its own shows: geometry and random draws of the 224-class, as
// torchvision has them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/data/philox.h"
#include "retort/data/policies/augment_policy.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"

namespace retort::data {

// Random words of one step of one view, as many as it needs: the n-th pair is Philox with key = seed and counter =
// (image, view, step tag + 256 n).
class StepBits {
 public:
  StepBits(uint64_t seed, int64_t image, int64_t view, uint32_t tag)
      : seed_(seed), image_(image), view_(view), tag_(tag) {}

  PhiloxBits operator()(uint32_t n) const {
    return Philox(seed_, static_cast<uint64_t>(image_), static_cast<uint32_t>(view_), tag_ + (n << 8));
  }

 private:
  uint64_t seed_;
  int64_t image_, view_;
  uint32_t tag_;
};

// In whole pixels.
struct Rectangle {
  int32_t top = 0, left = 0, height = 0, width = 0;
};

// torchvision's RandomResizedCrop.get_params for an image of height x width: up to ten times an area of
// U(min_area, max_area) of the image's and an aspect (width / height) of exp(U(log min_aspect, log max_aspect)); the
// first box that fits, at a uniform place. If none does, the central box of the permitted aspect nearest to the
// image's. Attempt n uses pairs 2n (area, aspect) and 2n + 1 (top, left).
Rectangle DrawResizedCrop(const config::RandomResizedCrop& step, int height, int width, const StepBits& bits);

// torchvision's RandomErasing.get_params, where `aspect` is height / width; of height 0 where none of ten fits or, with
// 1 - probability, nothing is erased. Pair 0 decides that, attempt n uses pairs 2n + 1 and 2n + 2.
Rectangle DrawErasing(const config::RandomErasing& step, int height, int width, const StepBits& bits);
// InvalidArgument for a step with a number out of range.
absl::Status CheckErasing(const config::RandomErasing& step);

// torchvision's Resize(size): the shorter side becomes `size`, the longer one size * longer / shorter without its
// fraction. Returns top = left = 0.
Rectangle ResizedShorterSide(int height, int width, int size);

// torchvision's CenterCrop(size): half of what is left over, rounded, of two as near to the even one. The image is at
// least so large.
Rectangle CentralSquare(int height, int width, int size);

// (steps, seed) -> view of (image, view): stateless, the same for any batch size, order, thread or resume point.
//
//   training:    random_resized_crop { }, flip { }, rand_augment { }, random_erasing { }
//   evaluation:  resize { }, center_crop { }
class CropPlan {
 public:
  // Steps come in this order: either random_resized_crop or resize (which center_crop must follow), then perhaps flip,
  // policies in the order of AugmentStep, and random_erasing. InvalidArgument names the step at fault.
  static absl::StatusOr<CropPlan> Create(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                         uint64_t seed);

  // Side of the views, which are square.
  int size() const { return is_random_ ? crop_.size() : central_.size(); }
  ops::Filter filter() const;

  // The same boxes and draws, resized to `size` pixels a side; what center_crop leaves out keeps its share.
  CropPlan Resized(int size) const;

  // What happens to pixels between flip and erasing, in this order, with draws of seed().
  const std::vector<AugmentPolicy>& policies() const { return policies_; }
  uint64_t seed() const { return seed_; }

  // Of an image of height x width, both at least 1.
  ops::CropResizeParams Draw(int64_t image, int64_t view, int height, int width) const;

 private:
  CropPlan() = default;

  uint64_t seed_ = 0;
  bool is_random_ = false;
  config::RandomResizedCrop crop_;
  config::Resize resize_;
  config::CenterCrop central_;
  double flip_probability_ = 0;
  config::RandomErasing erasing_;
  std::vector<AugmentPolicy> policies_;
};

}  // namespace retort::data
