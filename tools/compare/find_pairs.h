// The models of two runs that have the same seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/pipelines/plan.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::tools {

// A stage of a pipeline that trains or evaluates.
struct Run {
  std::string name;
  const pipelines::Plan* plan = nullptr;
  const pipelines::ArtifactStore* store = nullptr;
  // What a user gives to a program of pipelines/ to have the run made: "--config=x.textproto --set=seed=2".
  std::string arguments;
};

// What is in the store of one replicate.
struct Replicate {
  uint64_t seed = 0;
  double accuracy = 0;                // 0..1
  pipelines::StoredArtifact model;    // of the stage that trained
  pipelines::StoredArtifact dataset;  // what it was measured on
  bool training_split = false;        // which split of it
};

struct ReplicatePair {
  Replicate first, second;
};

// Seeds that both runs have, in order. InvalidArgument where a run is not in its plan (names those that are), or where
// no seed is common; NotFound or DataLoss where something is not in the store or damaged, with the command that makes
// it.
absl::StatusOr<std::vector<ReplicatePair>> FindPairs(const Run& first, const Run& second);

}  // namespace retort::tools
