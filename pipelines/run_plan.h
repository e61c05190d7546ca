// Makes what a plan asks for and the store does not hold.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "retort/pipelines/plan.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

struct RunOptions {
  std::string data_dir;
  // Records of every view of targets that are compared with what their teacher says now.
  int64_t verify_targets = 0;
  std::function<bool()> stop_requested;
};

// Delivers `goals` in order, each with the inputs it lacks. A stage whose key is in the store is a HIT and does no
// work, and neither do its inputs. Says on standard error what it does. Returns the goals' artifacts. DataLoss
// if targets are verified and differ.
absl::StatusOr<std::vector<StoredArtifact>> RunPlan(const Plan& plan, const std::vector<size_t>& goals,
                                                    const ArtifactStore& store, const RunOptions& options);

}  // namespace retort::pipelines
