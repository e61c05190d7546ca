// A teacher's outputs on disk: one safetensors file, tensors logits [V,N,K] and, if asked for, embedding [V,N,D], in
// fp32 or fp16. Fixed records, so a target's place is a function of (view, index) and the file is mapped, not read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/data/io/safetensors.h"
#include "retort/nn/model.h"

namespace retort::kd {

enum class TargetPrecision { kFp32, kFp16 };

// Collects targets in any order of (view, index) and writes them at once.
class TargetCacheBuilder {
 public:
  TargetCacheBuilder(int64_t views, int64_t samples, bool embedding, TargetPrecision precision);

  // outputs.logits [B,K] (and embedding [B,D]) of images `index` i64 [B] under `view`. InvalidArgument for non-finite
  // values (a diverged teacher), values beyond fp16's range, other shapes than before, or a row that was put before;
  // OutOfRange for rows outside the cache. After an error nothing has changed.
  absl::Status Put(int64_t view, const at::Tensor& index, const nn::Outputs& outputs);

  // FailedPrecondition names the first (view, index) that was never put.
  absl::Status Write(const std::string& path) const;

 private:
  bool embedding_;
  at::Tensor logits_;      // [V,N,K], allocated by the first Put
  at::Tensor embeddings_;  // [V,N,D]
  at::Tensor present_;     // bool [V,N]
  TargetPrecision precision_;
};

class TargetCache {
 public:
  // Maps the file and compares it with its SHA-256. DataLoss if it is damaged or no target cache.
  static absl::StatusOr<TargetCache> Open(const std::string& path);

  int64_t views() const { return logits_.size(0); }
  int64_t samples() const { return logits_.size(1); }
  bool has_embedding() const { return embedding_.defined(); }

  // f32 targets of every (view[v], index[b]), i64 vectors: row v * B + b of logits [V*B,K] (and embedding [V*B,D]).
  // OutOfRange for rows outside the cache; FailedPrecondition for an embedding that it does not hold.
  absl::StatusOr<nn::Outputs> Gather(const at::Tensor& view, const at::Tensor& index, bool embedding) const;

 private:
  std::shared_ptr<const data::MappedFile> storage_;
  at::Tensor logits_;     // [V,N,K], a view of the mapped file
  at::Tensor embedding_;  // [V,N,D]
};

}  // namespace retort::kd
