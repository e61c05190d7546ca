// Which images are trained on, and in which order. Pure functions of their arguments.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace retort::data {

struct Split {
  // Both ascending; together every index once.
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
};

// Holds out round(fraction * N) images at random, or, stratified, that share of every class (largest remainders get the
// images that rounding leaves over, so the total is the same). 0 < fraction < 1.
Split SplitValidation(absl::Span<const int64_t> labels, double fraction, bool stratified, uint64_t seed);

// `index` in the order of one epoch: a Fisher-Yates shuffle whose draws are Philox(seed, epoch).
std::vector<int64_t> EpochOrder(std::vector<int64_t> index, uint64_t seed, int64_t epoch);

}  // namespace retort::data
