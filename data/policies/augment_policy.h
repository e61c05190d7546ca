// Which ops each view of each image gets, and in which order.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_choice.h"

namespace retort::data {

// One step of kind auto_augment, rand_augment, trivial_augment, aug_mix or color_jitter: (step, seed, image, view,
// size) -> chosen ops, stateless. Draws come from Philox 4x32-10 with key = seed and counter = (image, view, step tag +
// 256 n), n = 0, 1, ...
class AugmentPolicy {
 public:
  // What becomes of an image: chains of ops, weighed and added. But for aug_mix, one chain of weight 1.
  struct Drawn {
    std::vector<std::vector<AugmentChoice>> chains;
    // aug_mix: of the image itself, then of each chain; they add up to 1. Otherwise empty.
    std::vector<float> weights;
  };

  // InvalidArgument for a step of another kind or with a number out of range.
  static absl::StatusOr<AugmentPolicy> Create(const config::AugmentStep& step);

  // Chains of every image, and the ops of the longest one there can be.
  int chains() const;
  int longest_chain() const;
  bool mixes() const { return step_.has_aug_mix(); }

  Drawn Draw(uint64_t seed, int64_t image, int64_t view, int64_t height, int64_t width) const;

 private:
  explicit AugmentPolicy(const config::AugmentStep& step) : step_(step) {}

  config::AugmentStep step_;
};

}  // namespace retort::data
