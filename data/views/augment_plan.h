// Which crop, flip, ops and erased rectangle each view of each image gets.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_policy.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::data {

// (steps, seed) -> parameters of (image, view): stateless, the same for any batch size, order, thread or resume point.
// Step s draws from Philox 4x32-10 with key = seed and counter = (image, view, step tag).
class AugmentPlan {
 public:
  // Every view is the image itself.
  AugmentPlan() { erasing_.set_probability(0); }

  // InvalidArgument where a kind appears twice or out of order, and where
  // there are both cutout and random_erasing.
  static absl::StatusOr<AugmentPlan> Create(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                            uint64_t seed);

  // Pixels that the op must imagine around an image, and what they are.
  int32_t pad() const { return pad_; }
  ops::Border border() const { return border_; }

  // What happens to pixels between flip and erasing, in this order, with draws of seed().
  const std::vector<AugmentPolicy>& policies() const { return policies_; }
  uint64_t seed() const { return seed_; }

  // The view is of `height` x `width` pixels.
  ops::BatchAssemblyParams Draw(int64_t image, int64_t view, int64_t height, int64_t width) const;

 private:
  uint64_t seed_ = 0;
  int32_t pad_ = 0;
  ops::Border border_ = ops::Border::kZero;
  int32_t cutout_ = 0;  // Pixels a side; 0 for none.
  config::RandomErasing erasing_;
  double flip_probability_ = 0;
  std::vector<AugmentPolicy> policies_;
};

}  // namespace retort::data
