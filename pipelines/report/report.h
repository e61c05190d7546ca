// What a pipeline found, for people and for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace retort::pipelines {

// One epoch of one run, read from metrics.jsonl.
struct ReportEpoch {
  int64_t epoch = 0;  // from 1
  double loss = 0;
  double accuracy = 0;             // training, 0..1
  double validation_loss = 0;      // NaN without validation
  double validation_accuracy = 0;  // NaN without validation
};

// One trained model: a replicate of a run.
struct ReportReplicate {
  uint64_t seed = 0;
  double accuracy = 0;              // test, 0..1, of the last epoch
  double loss = 0;                  // test, mean cross-entropy
  double seconds = 0;               // wall time
  std::string key;                  // of its artifact
  std::vector<ReportEpoch> epochs;  // empty for an evaluate stage
};

// One row of the table: a stage and its replicates.
struct ReportRun {
  std::string name;
  std::string kind;       // "finetune", "distill", "evaluate"
  std::string model;      // "light_nn"
  std::string objective;  // "0.75 cross_entropy + 0.25 distill"
  int64_t parameters = 0;
  std::vector<ReportReplicate> replicates;
};

struct ReportData {
  std::string pipeline;
  std::string dataset;
  int64_t test_images = 0;
  std::vector<ReportRun> runs;
};

// Rows of run, model, parameters, test accuracy (mean, +- standard deviation where there are several seeds), loss,
// seconds.
std::string ReportTable(const ReportData& data);

// "schema_version": 1; per run: name, kind, model, objective, parameters, seeds, accuracy, loss, seconds, per replicate
// and their mean.
std::string ReportJson(const ReportData& data);

// One self-contained page: table, accuracy bars with error bars, loss and accuracy curves. No network when it is
// opened.
std::string ReportHtml(const ReportData& data);

}  // namespace retort::pipelines
