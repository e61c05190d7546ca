// What a stage is: a pure function from artifacts to one artifact.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/pipelines/pipeline.pb.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

// A finished stage that another one reads.
struct StageInput {
  std::string
      role;  // the field that names it ("teacher"), or the field through which it is reached ("data" of "targets")
  std::string name;  // of the stage
  int replicate = 0;
  uint64_t seed = 0;
  const config::Stage* config = nullptr;
  StoredArtifact artifact;
};

// Everything a stage may look at.
struct StageContext {
  const config::Pipeline* pipeline = nullptr;
  const config::Stage* stage = nullptr;
  int replicate = 0;  // or view
  uint64_t seed = 0;
  std::vector<StageInput> inputs;
  // Where data sets lie; only ingest reads it.
  std::string data_dir;
  // Where the payload and checkpoints are written.
  std::string work_dir;
  // SHA-256 of the stage's initial weights, as the key has it; empty where it has none.
  std::string weights_sha256;
  // Identity of the work, for checkpoints.
  std::string key;
  std::function<bool()> stop_requested;

  // The input of that role; FailedPrecondition if there is none.
  absl::StatusOr<const StageInput*> Input(absl::string_view role) const;
  // The same, or null.
  const StageInput* FindInput(absl::string_view role) const;
  // All of that role, in the order of their replicates.
  std::vector<const StageInput*> Inputs(absl::string_view role) const;
};

// The weights that a stage gives its model to begin with; null where it gives none.
const config::InitialWeights* InitialWeightsOf(const config::Stage& stage);

struct StageOutput {
  // Payload, names within the work folder.
  std::vector<std::string> files;
  struct Metric {
    std::string name;
    double value;
  };
  std::vector<Metric> metrics;
  // Wall time of all sessions that worked on it; only a stage that goes on where another session stopped knows more
  // than its caller, which measures this one.
  double seconds = 0;
};

// "distill": the kind's field name in config::Stage.
std::string KindName(config::Stage::KindCase kind);

}  // namespace retort::pipelines
