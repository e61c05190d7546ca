// AutoAugment's policies.
#pragma once

#include <array>

#include "absl/types/span.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_choice.h"

namespace retort::data {

constexpr int kAutoAugmentLevels = 10;

// An op of a pair, the probability that it is used, and its level of 0..9; 0 where the op has none.
struct AutoAugmentOp {
  AugmentOp op;
  double probability;
  int level = 0;
};
using AutoAugmentPair = std::array<AutoAugmentOp, 2>;

// The 25 pairs of a policy as found by search, in the tables of Cubuk et al. 2019, arXiv 1805.09501, as torchvision has
// them. An image gets one of the pairs.
absl::Span<const AutoAugmentPair> PairsOf(config::AutoAugment::Policy policy);

}  // namespace retort::data
