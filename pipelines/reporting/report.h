// What a pipeline found, for people and for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/optional.h"

namespace retort::pipelines {

// One epoch of one run, read from metrics.jsonl.
struct ReportEpoch {
  int64_t epoch = 0;  // from 1
  double loss = 0;
  double accuracy = 0;             // training, 0..1
  double validation_loss = 0;      // NaN without validation
  double validation_accuracy = 0;  // NaN without validation
};

// What a run was measured on.
struct ReportImages {
  std::string dataset;  // "cifar10"; other images have another name, or split
  std::string split;    // "test", "training"
  int64_t count = 0;

  friend bool operator==(const ReportImages& a, const ReportImages& b) {
    return a.dataset == b.dataset && a.split == b.split;
  }
};

// A model against its teacher on its run's images, see kd/evaluate.h; NaN where there is no number.
struct ReportFidelity {
  double agreement = 0;
  double kl = 0;
  double cka = 0;
  double teacher_accuracy = 0;
  double teacher_loss = 0;
  double teacher_ece = 0;
};

// Images whose confidence lies in one bin, see kd/evaluate.h.
struct ReportBin {
  int64_t images = 0;
  int64_t correct = 0;
  double confidence = 0;  // sum
};

// One trained model: a replicate of a run.
struct ReportReplicate {
  uint64_t seed = 0;
  double accuracy = 0;                      // 0..1, of the last epoch
  double loss = 0;                          // mean cross-entropy
  double ece = 0;                           // expected calibration error, 0..1
  double seconds = 0;                       // wall time
  double images_per_second = 0;             // that it was trained on; NaN for an evaluate stage
  std::string key;                          // of its artifact
  std::vector<ReportEpoch> epochs;          // empty for an evaluate stage
  absl::optional<ReportFidelity> fidelity;  // of an evaluate stage with a teacher
};

// One row of the table: a stage and its replicates.
struct ReportRun {
  std::string name;
  std::string kind;       // "finetune", "distill", "evaluate"
  std::string model;      // "light_nn"
  std::string objective;  // "0.75 cross_entropy + 0.25 distill"
  ReportImages images;
  int64_t parameters = 0;
  double macs = 0;  // multiply-accumulates of a forward pass over one image; NaN where they are not known
  // [K*K] row-major: confusion[label * K + prediction], in images of all replicates together; K names of classes.
  // Both empty where there are too many classes to show.
  std::vector<std::string> class_names;
  std::vector<int64_t> confusion;
  std::vector<ReportBin> calibration;  // of all replicates together; empty where it is not known
  std::vector<ReportReplicate> replicates;
};

struct ReportData {
  std::string pipeline;
  std::vector<ReportRun> runs;
  std::string config = "";  // text of the pipeline as it ran; the page shows it
};

// For a terminal: tables of results, of costs, and of runs that were held against a teacher. Numbers are mean ±
// standard deviation over seeds (n - 1 in the denominator; left out for one seed); gain is the mean accuracy less that
// of the first run that was measured on the same images, in percentage points; seconds are the mean of a seed. Where
// runs were measured on different images, a column says on which. A number that is not there (NaN, no replicate,
// nothing to compare with) is "–". Ratio: parameters of the first run over those of the run. Images/s: images that a
// seed was trained on, once an epoch, over its seconds.
std::string ReportTable(const ReportData& data);

// The same for a page of text: a title and the tables of ReportTable in Markdown.
std::string ReportMarkdown(const ReportData& data);

// For programs:
//   {"schema_version": 2, "pipeline",
//    "runs": [{"name", "kind", "model", "objective", "images": {"dataset", "split", "count"}, "parameters",
//              "macs", "accuracy", "loss", "ece", "seconds", "images_per_second": {"mean", "std"} each,
//              "fidelity": {"agreement", "kl", "cka", "teacher_accuracy", "teacher_loss", "teacher_ece":
//                           {"mean", "std"} each}; null without a teacher
//              "classes": [{"name", "images", "accuracy"}], "confusion": [[...]],
//              "calibration": [{"images", "accuracy", "confidence"}] over all replicates,
//              "replicates": [{"seed", "accuracy", "loss", "ece", "seconds", "key",
//                              "epochs": {"epoch", "loss", "accuracy",
//                                         "validation_loss", "validation_accuracy": lists}}]}]}
// Accuracies are 0..1. NaN is null. Row of the confusion matrix: label, column: prediction.
std::string ReportJson(const ReportData& data);

// For a browser: one self-contained page of tables, accuracy bars with error bars, loss and accuracy curves. It follows
// the reader's light or dark theme, takes all names as text, and loads nothing from a network.
std::string ReportHtml(const ReportData& data);

}  // namespace retort::pipelines
