#include "retort/pipelines/payload/stored_targets.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace retort::pipelines {

std::string ShardName(int64_t shard) { return absl::StrFormat("targets-%05d.safetensors", shard); }

absl::StatusOr<kd::TargetCache::View> StoredView(const StoredArtifact& artifact, int64_t view) {
  kd::TargetCache::View stored = {view, artifact.manifest.key(), {}};
  for (const config::Artifact::File& file : artifact.manifest.file())
    stored.shards.push_back(artifact.File(file.name()));
  if (stored.shards.empty()) return absl::DataLossError(absl::StrCat(artifact.folder, " holds no targets"));
  std::sort(stored.shards.begin(), stored.shards.end());
  return stored;
}

}  // namespace retort::pipelines
