#include "retort/data/views/view_plan.h"

#include <utility>

#include "absl/status/status.h"

#include "retort/data/io/status_macros.h"

namespace retort::data {

absl::StatusOr<ViewPlan> ViewPlan::Create(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                          uint64_t seed, MixPlan::Partners partners) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> of_one, of_two;
  for (const config::AugmentStep& step : steps) {
    const bool mixes = !of_two.empty() || step.has_mixup() || step.has_cut_mix();
    *(mixes ? of_two : of_one).Add() = step;
  }
  ViewPlan plan;
  if (!of_one.empty() &&
      (of_one[0].has_random_resized_crop() || of_one[0].has_resize() || of_one[0].has_center_crop())) {
    RETORT_ASSIGN_OR_RETURN(plan.views_, CropPlan::Create(of_one, seed));
  } else {
    RETORT_ASSIGN_OR_RETURN(plan.views_, AugmentPlan::Create(of_one, seed));
  }
  if (!of_two.empty()) {
    RETORT_ASSIGN_OR_RETURN(plan.mix_, MixPlan::Create(of_two, seed, partners));
  }
  return plan;
}

ViewPlan ViewPlan::MixedAs(const ViewPlan& other) const {
  ViewPlan plan = *this;
  plan.mix_ = other.mix_;
  return plan;
}

absl::StatusOr<ViewPlan> ViewPlan::Resized(int size) const {
  if (crop() == nullptr) {
    return absl::InvalidArgumentError(
        "the views have the size of the images; begin their steps with random_resized_crop, or with resize and "
        "center_crop, to have them at other sizes too");
  }
  ViewPlan plan = *this;
  plan.views_ = crop()->Resized(size);
  return plan;
}

}  // namespace retort::data
