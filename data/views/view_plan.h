// Which views a list of steps makes of images, whatever their size.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/variant.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_policy.h"
#include "retort/data/views/augment_plan.h"
#include "retort/data/views/crop_plan.h"
#include "retort/data/views/mix_plan.h"

namespace retort::data {

// Views of the images' own size (AugmentPlan), or of a size of their own (CropPlan), and how two of them are mixed
// (MixPlan).
class ViewPlan {
 public:
  // Every view is the image itself.
  ViewPlan() = default;

  // Steps that begin with random_resized_crop, resize or center_crop give views a size. InvalidArgument names the step
  // at fault.
  static absl::StatusOr<ViewPlan> Create(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                         uint64_t seed, MixPlan::Partners partners = MixPlan::Partners::kOfBatch);

  // One of both is not null.
  const AugmentPlan* augment() const { return absl::get_if<AugmentPlan>(&views_); }
  const CropPlan* crop() const { return absl::get_if<CropPlan>(&views_); }
  // Null where images are not mixed.
  const MixPlan* mix() const { return mix_.has_value() ? &*mix_ : nullptr; }

  // What happens to pixels before they are normalised, with draws of seed().
  const std::vector<AugmentPolicy>& policies() const { return crop() ? crop()->policies() : augment()->policies(); }
  uint64_t seed() const { return crop() ? crop()->seed() : augment()->seed(); }

  struct Size {
    int64_t height, width;
  };
  // Of the views of images of that size.
  Size SizeOf(Size image) const { return crop() ? Size{crop()->size(), crop()->size()} : image; }

  // The same views, mixed as those of `other` are.
  ViewPlan MixedAs(const ViewPlan& other) const;

  // The same draws, but views of `size` pixels a side: the same box of every image, resized to another size.
  // InvalidArgument if views have the size of the images.
  absl::StatusOr<ViewPlan> Resized(int size) const;

 private:
  absl::variant<AugmentPlan, CropPlan> views_;
  absl::optional<MixPlan> mix_;
};

}  // namespace retort::data
