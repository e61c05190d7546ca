// Two runs, seed by seed: the numbers, for people and for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retort::tools {

// One seed's model of either run, on the same test images.
struct SeedPair {
  uint64_t seed = 0;
  int64_t right[2] = {0, 0};  // images that each gets right, as it was measured when it was trained
  int64_t alone[2] = {0, 0};  // images that it gets right and the other wrong
};

struct Comparison {
  std::string runs[2];
  int64_t images = 0;           // of the test set, at least 1
  std::vector<SeedPair> pairs;  // at least one
};

// For a terminal: a row a seed, then the mean difference (second less first, in percentage points), its 95 % interval
// and the paired t-test (paired_statistics.h); of one pair, that it has neither. McNemar's test is of each seed: the
// images are the same for all seeds, so that pooling them would count each image several times.
std::string ComparisonTable(const Comparison& comparison);

// For programs:
//   {"schema_version": 1, "runs": [first, second], "images",
//    "difference": {"mean", "std", "interval": [low, high], "p"}, what there is none of being null;
//    "pairs": [{"seed", "accuracy": [first, second], "difference", "right_alone": [first, second], "mcnemar_p"}]}
// Accuracies and differences, second less first, are shares, 0..1.
std::string ComparisonJson(const Comparison& comparison);

}  // namespace retort::tools
