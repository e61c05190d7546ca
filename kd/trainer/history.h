// What a training has measured, epoch by epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

#include "retort/kd/trainer/training.pb.h"

namespace retort::kd {

struct EpochMetrics {
  int64_t epoch = 0;           // from 1
  double seconds = 0;          // wall time of the training up to here, stopped runs included; on no line
  double learning_rate = 0;    // of the epoch's first step
  double loss = 0;             // mean total
  std::vector<double> parts;   // mean of each term before its weight
  double accuracy = 0;         // of the training batches as they came, by their own labels where mixed, 0..1
  double validation_loss = 0;  // plain cross-entropy; NaN without validation
  double validation_accuracy = 0;
};

// A line of metrics.jsonl: {"epoch", "learning_rate", "loss", "parts": {term: mean}, "accuracy", "validation_loss",
// "validation_accuracy"}, the last two only with validation. Numbers are the shortest that read back as the same bits.
std::string MetricsLine(const EpochMetrics& metrics, const std::vector<std::string>& names);

// The best of complete epochs as `selection` judges them, from 0; -1 before there is one.
int64_t BestEpoch(const config::Selection& selection, absl::Span<const EpochMetrics> history);

// Whether training ends with these epochs because the best is too long ago.
bool OutOfPatience(const config::Selection& selection, absl::Span<const EpochMetrics> history);

}  // namespace retort::kd
