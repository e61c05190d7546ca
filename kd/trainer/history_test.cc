#include "retort/kd/trainer/history.h"

#include <limits>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::kd {
namespace {

config::Selection Selection(const std::string& text) {
  config::Selection selection;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &selection)) << text;
  return selection;
}

// Validation accuracies in percent, and losses that fall by 0.1 an epoch.
std::vector<EpochMetrics> History(const std::vector<int>& accuracies) {
  std::vector<EpochMetrics> history;
  for (const int accuracy : accuracies) {
    EpochMetrics metrics;
    metrics.validation_accuracy = accuracy / 100.0;
    metrics.validation_loss = 5 - 0.1 * static_cast<double>(history.size());
    history.push_back(metrics);
  }
  return history;
}

struct Case {
  std::string name, selection;
  std::vector<int> accuracies;
  int64_t best;
  bool out_of_patience;
};

class SelectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(SelectionTest, FindsTheBestEpochAndTheEnd) {
  const config::Selection selection = Selection(GetParam().selection);
  const std::vector<EpochMetrics> history = History(GetParam().accuracies);
  EXPECT_EQ(BestEpoch(selection, history), GetParam().best);
  EXPECT_EQ(OutOfPatience(selection, history), GetParam().out_of_patience);
}

INSTANTIATE_TEST_SUITE_P(
    All, SelectionTest,
    ::testing::Values(Case{"Nothing", "patience: 1", {}, -1, false}, Case{"First", "patience: 1", {10}, 0, false},
                      Case{"Later", "", {10, 30, 20}, 1, false},
                      Case{"AnEqualOneIsNotBetter", "", {10, 30, 30}, 1, false},
                      Case{"Patient", "patience: 3", {10, 30, 20, 20}, 1, false},
                      Case{"OutOfPatience", "patience: 3", {10, 30, 20, 20, 20}, 1, true},
                      Case{"BetterInTime", "patience: 3", {10, 30, 20, 20, 31}, 4, false},
                      Case{"NotByEnough", "min_improvement: 0.05 patience: 2", {10, 30, 34, 34}, 1, true},
                      Case{"ByEnoughInTwoEpochs", "min_improvement: 0.05", {10, 30, 33, 36}, 3, false},
                      Case{"NotArmed", "arm_epoch: 3 patience: 1", {90, 80, 70}, -1, false},
                      Case{"BestSinceArmed", "arm_epoch: 2 patience: 2", {90, 80, 50, 40, 30}, 2, true},
                      Case{"ByLoss", "measure: VALIDATION_LOSS patience: 1", {90, 80, 50}, 2, false}),
    [](const auto& instance) { return instance.param.name; });

TEST(MetricsLineTest, LeavesOutWhatWasNotMeasured) {
  EpochMetrics metrics = History({25})[0];
  metrics.epoch = 3;
  metrics.learning_rate = 0.1;
  metrics.loss = 2;
  metrics.parts = {1.5};
  metrics.accuracy = 0.5;
  EXPECT_EQ(MetricsLine(metrics, {"cross_entropy"}),
            "{\"epoch\":3,\"learning_rate\":0.1,\"loss\":2.0,\"parts\":{\"cross_entropy\":1.5},\"accuracy\":0.5,"
            "\"validation_loss\":5.0,\"validation_accuracy\":0.25}\n");
  metrics.validation_loss = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(MetricsLine(metrics, {"cross_entropy"}),
            "{\"epoch\":3,\"learning_rate\":0.1,\"loss\":2.0,\"parts\":{\"cross_entropy\":1.5},\"accuracy\":0.5}\n");
}

}  // namespace
}  // namespace retort::kd
