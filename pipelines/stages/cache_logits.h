// Runs a teacher once over a view of every training image and stores what it says: shards of targets
// (kd/target_cache.h), which several processes may make together.
//
// Metrics: samples; teacher_accuracy, the share of images whose greatest logit is the label's, unless views are
// mixed; kl_1 and kl_4, the mean
// KL(teacher || stored) at temperatures 1 and 4; error.<tensor>, the mean relative error of what is stored besides;
// both of the first images of each shard.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunCacheLogits(const StageContext& context);

// Asks the teacher again about `records` images drawn at random, and says how many records of the artifact differ, of
// each tensor by how much at most, and of which image that is; DataLoss if any does.
absl::Status VerifyTargets(const StageContext& context, const StoredArtifact& artifact, int64_t records);

}  // namespace retort::pipelines
