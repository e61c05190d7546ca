#include "retort/kd/trainer/history.h"

#include <cmath>

#include "nlohmann/json.hpp"

namespace retort::kd {
namespace {

// Larger is better.
double Merit(const config::Selection& selection, const EpochMetrics& metrics) {
  switch (selection.measure()) {
    case config::Selection::VALIDATION_ACCURACY:
      return metrics.validation_accuracy;
    case config::Selection::VALIDATION_LOSS:
      break;
  }
  return -metrics.validation_loss;
}

}  // namespace

std::string MetricsLine(const EpochMetrics& metrics, const std::vector<std::string>& names) {
  nlohmann::ordered_json line = {
      {"epoch", metrics.epoch}, {"learning_rate", metrics.learning_rate}, {"loss", metrics.loss}};
  for (size_t i = 0; i < names.size(); ++i) line["parts"][names[i]] = metrics.parts[i];
  line["accuracy"] = metrics.accuracy;
  if (!std::isnan(metrics.validation_loss)) {
    line["validation_loss"] = metrics.validation_loss;
    line["validation_accuracy"] = metrics.validation_accuracy;
  }
  return line.dump() + "\n";
}

int64_t BestEpoch(const config::Selection& selection, absl::Span<const EpochMetrics> history) {
  int64_t best = -1;
  double merit = 0;
  for (int64_t epoch = selection.arm_epoch(); epoch < static_cast<int64_t>(history.size()); ++epoch) {
    const double now = Merit(selection, history[static_cast<size_t>(epoch)]);
    if (best >= 0 && (now <= merit || now < merit + selection.min_improvement())) continue;
    best = epoch;
    merit = now;
  }
  return best;
}

bool OutOfPatience(const config::Selection& selection, absl::Span<const EpochMetrics> history) {
  const int64_t best = BestEpoch(selection, history);
  return selection.has_patience() && best >= 0 &&
         static_cast<int64_t>(history.size()) - 1 - best >= selection.patience();
}

}  // namespace retort::kd
