#include "retort/data/split.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

// `counts[k]` labels of class k, mixed.
std::vector<int64_t> Labels(const std::vector<int64_t>& counts) {
  std::vector<int64_t> labels;
  std::vector<int64_t> left = counts;
  while (true) {
    const size_t before = labels.size();
    for (size_t k = 0; k < left.size(); ++k) {
      if (left[k]-- > 0) labels.push_back(static_cast<int64_t>(k));
    }
    if (labels.size() == before) return labels;
  }
}

std::vector<int64_t> Iota(int64_t n) {
  std::vector<int64_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), int64_t{0});
  return values;
}

TEST(SplitTest, EveryIndexOnceAndSizesAreExact) {
  struct Case {
    std::string name;
    std::vector<int64_t> counts;
    double fraction;
    bool stratified;
    int64_t validation;
    std::vector<int64_t> of_class;  // empty: any
  };
  for (const Case& c : std::vector<Case>{
           {"plain", {50, 50}, 0.1, false, 10, {}},
           {"plain, rounded up", {3, 4}, 0.5, false, 4, {}},
           {"stratified", {50, 50}, 0.1, true, 10, {5, 5}},
           // 0.7, 1.4, 2.1 of 14 * 0.3 = 4.2: floors 0, 1, 2, and the one left goes to the remainder 0.7.
           {"one left over", {7, 14, 21}, 0.1, true, 4, {1, 1, 2}},
           // Equal remainders: the lower class first.
           {"tie", {5, 5, 5, 5}, 0.1, true, 2, {1, 1, 0, 0}},
           {"absent class", {10, 0, 10}, 0.5, true, 10, {5, 0, 5}},
           {"tiny fraction", {50, 50}, 1e-9, true, 0, {0, 0}},
           {"nearly all", {3, 3}, 0.999, true, 6, {3, 3}},
           {"nobody", {}, 0.5, true, 0, {}},
       }) {
    const std::vector<int64_t> labels = Labels(c.counts);
    const Split split = SplitValidation(labels, c.fraction, c.stratified, 7);
    EXPECT_EQ(split.validation.size(), static_cast<size_t>(c.validation)) << c.name;
    EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end())) << c.name;
    EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end())) << c.name;
    std::vector<int64_t> all = split.train;
    all.insert(all.end(), split.validation.begin(), split.validation.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, Iota(static_cast<int64_t>(labels.size()))) << c.name;
    std::vector<int64_t> of_class(c.of_class.size());
    for (const int64_t image : split.validation) {
      if (!of_class.empty()) ++of_class[static_cast<size_t>(labels[static_cast<size_t>(image)])];
    }
    EXPECT_EQ(of_class, c.of_class) << c.name;
  }
}

TEST(SplitTest, DependsOnTheSeedAlone) {
  const std::vector<int64_t> labels = Labels({100, 100});
  const Split split = SplitValidation(labels, 0.2, true, 1);
  EXPECT_EQ(SplitValidation(labels, 0.2, true, 1).validation, split.validation);
  EXPECT_NE(SplitValidation(labels, 0.2, true, 2).validation, split.validation);
  EXPECT_NE(SplitValidation(labels, 0.2, true, uint64_t{1} << 32).validation, split.validation);
}

// Over many seeds each of 10 images is held out about equally often: 2,000 draws of 3 in 10, expected 600, standard
// deviation sqrt(2000 * 0.3 * 0.7) = 20.5; six of them.
TEST(SplitTest, EveryImageIsAsLikely) {
  std::vector<int> held(10);
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    for (const int64_t image : SplitValidation(std::vector<int64_t>(10), 0.3, false, seed).validation) ++held[image];
  }
  for (const int count : held) EXPECT_NEAR(count, 600, 123);
}

TEST(EpochOrderTest, PermutesWhatItIsGiven) {
  const std::vector<int64_t> index = {4, 8, 15, 16, 23, 42};
  std::vector<int64_t> order = EpochOrder(index, 5, 3);
  EXPECT_EQ(order, EpochOrder(index, 5, 3));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, index);
  EXPECT_THAT(EpochOrder({}, 5, 3), IsEmpty());
  EXPECT_THAT(EpochOrder({9}, 5, 3), ElementsAre(9));
}

TEST(EpochOrderTest, EpochsAndSeedsDiffer) {
  const std::vector<int64_t> index = Iota(100);
  const std::vector<int64_t> order = EpochOrder(index, 5, 0);
  EXPECT_NE(order, index);
  EXPECT_NE(EpochOrder(index, 5, 1), order);
  EXPECT_NE(EpochOrder(index, 6, 0), order);
  EXPECT_NE(EpochOrder(index, 5 + (uint64_t{1} << 32), 0), order);
}

// All 24 orders of 4 items are as likely: 24,000 epochs, expected 1,000 each, standard deviation 31; six of them.
TEST(EpochOrderTest, EveryOrderIsAsLikely) {
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t epoch = 0; epoch < 24000; ++epoch) ++counts[EpochOrder({0, 1, 2, 3}, 9, epoch)];
  EXPECT_EQ(counts.size(), 24u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 186);
}

}  // namespace
}  // namespace retort::data
