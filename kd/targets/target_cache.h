// A teacher's targets on disk.
//
// A cache has V views of N images. A view lies in shards: files of `shard_size` images each, the last with the rest. A
// shard is one safetensors file of fixed records (kd/target_rows.h), so a target's place is a function of (view,
// index), and files are mapped, not read. It holds the SHA-256 of all its bytes, its place, and the identity of what
// made it: one that is damaged, of another cache or in another's place is found before a number of it is used.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

#include "retort/data/io/safetensors.h"
#include "retort/kd/targets/target_cache.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Which images of which cache a shard holds.
struct ShardPlace {
  std::string identity;  // of everything that decides the view's targets, such as the artifact's key
  int64_t view = 0;
  int64_t first = 0;  // image
  int64_t count = 0;
};

// What is known of a shard's targets beside themselves.
struct ShardFacts {
  int64_t correct = 0;  // images whose greatest logit is the label's
  // How far what is stored is from what the teacher said: sums over the shard's first images, `sampled` of them.
  int64_t sampled = 0;
  double kl_1 = 0;                      // KL(teacher || stored) of class probabilities at temperature 1, nats
  double kl_4 = 0;                      // at temperature 4
  std::map<std::string, double> error;  // by tensor, but for logits: ||stored - exact||_2 / ||exact||_2
};

// Collects the targets of a shard's images and writes them at once.
class TargetShardBuilder {
 public:
  TargetShardBuilder(const config::StoredTargets& contents, const ShardPlace& place);

  // Of the next images, in their order: what RequestFor(contents) asks for and the logits [B,K], f32, with labels i64
  // [B]. InvalidArgument as Encode says, and for other shapes than before; nothing has changed then.
  absl::Status Append(const Targets& targets, const at::Tensor& labels);

  // FailedPrecondition unless all `place.count` images are there.
  absl::Status Write(const std::string& path) const;

  // Of what was appended; those that CheckShard gives of the file.
  const ShardFacts& facts() const { return facts_; }

 private:
  absl::Status CheckRows(const std::map<std::string, at::Tensor>& rows) const;
  // Compares the first `count` of them with what is stored.
  void Sample(const Targets& targets, const std::map<std::string, at::Tensor>& rows, int64_t count);

  config::StoredTargets contents_;
  ShardPlace place_;
  int64_t classes_ = 0;
  int64_t done_ = 0;
  ShardFacts facts_;
  std::map<std::string, at::Tensor> tables_;  // rows of all images by name, the first `done_` of them written
};

// Verifies a shard. DataLoss if it is damaged, of another version, or not of `place`; NotFound where there is none.
absl::StatusOr<ShardFacts> CheckShard(const std::string& path, const ShardPlace& place);

class TargetCache {
 public:
  struct View {
    int64_t number = 0;
    std::string identity;
    std::vector<std::string> shards;  // in the order of their images
  };

  // Maps and verifies all shards; view v of the cache is views[v], whatever its number. DataLoss names the one that is
  // damaged, not of its place, or of other contents than the first; InvalidArgument if there is none, or views have
  // different numbers of images.
  // `memory`: bytes that it may take in memory; half of the machine's where it is not given.
  static absl::StatusOr<TargetCache> Open(absl::Span<const View> views, absl::optional<int64_t> memory = absl::nullopt);

  int64_t views() const { return views_; }
  int64_t samples() const { return samples_; }
  const config::StoredTargets& contents() const { return contents_; }

  // f32 targets of (view[r], index[r]), contiguous i64 [R]: row r of logits [R,K] and so on. OutOfRange for places
  // outside the cache; InvalidArgument for what it does not hold, as CheckContents says.
  absl::StatusOr<Targets> Gather(const at::Tensor& view, const at::Tensor& index, const TargetRequest& request) const;

  // Whether it is larger than `memory`. If not, it stays there after its first use.
  bool beyond_memory() const { return beyond_memory_; }

  // Makes the system read those records from disk, without waiting; a hint, for what Gather will be asked for next.
  void ReadAhead(const at::Tensor& view, const at::Tensor& index) const;

 private:
  // A stored tensor's rows.
  struct Table {
    at::ScalarType type;
    std::vector<int64_t> shape;  // of a row
    int64_t row_bytes = 0;
    std::vector<const uint8_t*> parts;  // first row of each shard, view after view
  };

  // The next shard, of `count` images.
  absl::Status Add(const data::SafetensorsFile& file, int64_t count);
  const uint8_t* Row(const Table& table, int64_t view, int64_t index) const;
  at::Tensor Rows(const Table& table, const at::Tensor& view, const at::Tensor& index) const;

  config::StoredTargets contents_;
  int64_t views_ = 0;
  int64_t samples_ = 0;
  int64_t shards_ = 0;      // of a view
  int64_t shard_size_ = 0;  // of all but the last of a view
  int64_t classes_ = 0;
  bool beyond_memory_ = false;
  std::map<std::string, Table> tables_;
  std::vector<std::shared_ptr<const data::MappedFile>> storage_;
};

}  // namespace retort::kd
