#include "retort/data/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "retort/data/philox.h"

namespace retort::data {
namespace {

// Last word of the Philox counter: what the draws are for, so that no two uses of a seed see the same numbers.
constexpr uint32_t kSplitTag = 0x53504c54;  // "SPLT"
constexpr uint32_t kOrderTag = 0x4f524452;  // "ORDR"

// Fisher-Yates, with one counter (step, epoch, tag) for each step.
void Shuffle(std::vector<int64_t>& items, uint64_t seed, int64_t epoch, uint32_t tag) {
  for (size_t left = items.size(); left > 1; --left) {
    const size_t chosen = UniformInt(Philox(seed, left, static_cast<uint32_t>(epoch), tag)[0], left);
    std::swap(items[left - 1], items[chosen]);
  }
}

// How many of each class are held out: fraction * count, rounded down, and one more for the classes with the largest
// remainders, until round(fraction * N) are.
std::vector<int64_t> Quotas(absl::Span<const int64_t> labels, double fraction) {
  std::vector<int64_t> counts;
  for (const int64_t label : labels) {
    if (label >= static_cast<int64_t>(counts.size())) counts.resize(static_cast<size_t>(label) + 1);
    ++counts[static_cast<size_t>(label)];
  }
  int64_t left = std::llround(fraction * static_cast<double>(labels.size()));
  std::vector<int64_t> quotas;
  std::vector<double> remainders;
  for (const int64_t count : counts) {
    const double share = fraction * static_cast<double>(count);
    quotas.push_back(static_cast<int64_t>(share));
    remainders.push_back(share - std::floor(share));
    left -= quotas.back();
  }
  std::vector<size_t> by_remainder(counts.size());
  std::iota(by_remainder.begin(), by_remainder.end(), size_t{0});
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&remainders](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  for (const size_t label : by_remainder) {
    if (left > 0 && quotas[label] < counts[label]) {
      ++quotas[label];
      --left;
    }
  }
  return quotas;
}

}  // namespace

Split SplitValidation(absl::Span<const int64_t> labels, double fraction, bool stratified, uint64_t seed) {
  // Without strata, all images are of one class.
  std::vector<int64_t> strata(labels.size(), 0);
  if (stratified) strata.assign(labels.begin(), labels.end());
  std::vector<int64_t> quotas = Quotas(strata, fraction);

  std::vector<int64_t> order(labels.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  Shuffle(order, seed, /*epoch=*/0, kSplitTag);
  Split split;
  for (const int64_t image : order) {
    int64_t& quota = quotas[static_cast<size_t>(strata[static_cast<size_t>(image)])];
    (quota > 0 ? split.validation : split.train).push_back(image);
    quota = std::max<int64_t>(quota - 1, 0);
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

std::vector<int64_t> EpochOrder(std::vector<int64_t> index, uint64_t seed, int64_t epoch) {
  Shuffle(index, seed, epoch, kOrderTag);
  return index;
}

}  // namespace retort::data
