// From a config to the list of artifacts that have to be there.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/pipelines/pipeline.pb.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

// A stage, or one replicate of it; of a cache_logits stage, one view.
struct PlannedStage {
  const config::Stage* config = nullptr;  // within Plan::pipeline
  int replicate = 0;
  uint64_t seed = 0;  // the pipeline's + replicate
  struct Input {
    std::string role;
    size_t stage;  // index in Plan::stages, less than this stage's own
  };
  std::vector<Input> inputs;
  // Everything that decides the result, one "path: value" a line; `key` is its SHA-256.
  std::string key_text;
  std::string key;
  // SHA-256 of its initial weights; empty where it has none.
  std::string weights_sha256;

  // "student", or "student/2" where the stage has several replicates.
  std::string name;
};

struct Plan {
  std::unique_ptr<config::Pipeline> pipeline;
  // A stage stands behind all its inputs.
  std::vector<PlannedStage> stages;
};

// Stages in the order of the config, replicates expanded, keys computed. Reads the data folder, since the key of an
// ingested data set is made from its files, and the files of initial weights; NotFound where they are missing.
absl::StatusOr<Plan> MakePlan(config::Pipeline pipeline, const std::string& data_dir);

// `goals` and everything that they are made from, at any depth.
std::set<size_t> WithInputs(const Plan& plan, const std::vector<size_t>& goals);

// Indices of what a program for `kind` has to deliver: all stages of that kind, and the reports that need no other
// training than these already need. InvalidArgument where there is no such stage.
absl::StatusOr<std::vector<size_t>> Goals(const Plan& plan, config::Stage::KindCase kind);

// A table of what running `goals` would do: name, kind, key, and HIT or RUN with the reason: the lines in which the
// nearest stored artifact of that kind differs.
std::string DescribePlan(const Plan& plan, const std::vector<size_t>& goals, const ArtifactStore* store);

}  // namespace retort::pipelines
