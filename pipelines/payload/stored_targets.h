// The payload of a cache_logits artifact: the shards of one view's targets.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "retort/kd/targets/target_cache.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

// "targets-00003.safetensors"
std::string ShardName(int64_t shard);

// The shards of view number `view`, for kd::TargetCache::Open. DataLoss if there is none.
absl::StatusOr<kd::TargetCache::View> StoredView(const StoredArtifact& artifact, int64_t view);

}  // namespace retort::pipelines
