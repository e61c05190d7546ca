// A teacher's targets as the tensors that a cache stores, and back.
//
//   tensor                 of n images
//   logits                 [n,K]; with top_k the k greatest [n,k], falling; logits.index, their classes, i16 [n,k], or
//                          i32 of more than 32,767 classes; logits.log_sum_exp f32 [n], of all K
//   embedding              [n,D]
//   map.<tap>              [n,H,W]
//   gradient_map.<tap>     [n,H,W]
//   input_gradient         [n,C,H,W]
//
// each f32, f16, bf16, or u8 with <tensor>.affine f32 [n,2], then value = affine[0] + affine[1] * stored.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/kd/targets/target_cache.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// What must be asked of a teacher for `contents`.
TargetRequest RequestFor(const config::StoredTargets& contents);

// InvalidArgument if a cache of `contents` cannot answer `request`: what is missing, and what to do.
absl::Status CheckContents(const config::StoredTargets& contents, const TargetRequest& request);

// "logits", "embedding", "map.<tap>", ...: what `request` asks for, but for features, which no cache holds.
std::vector<std::string> TargetNames(const TargetRequest& request);

// The member of `targets` that `name` stands for; undefined where there is none.
at::Tensor& TargetOf(Targets& targets, absl::string_view name);

// f32 targets of B images as they are stored, by name. InvalidArgument for missing or non-finite values (a diverged
// teacher), values beyond fp16's range, and a top_k above the number of classes.
absl::StatusOr<std::map<std::string, at::Tensor>> Encode(const config::StoredTargets& contents, const Targets& targets);

// What `request` asks for, f32, of rows that `stored` gives by name. `classes` is K. With top_k, logits are logarithms
// of probabilities: those of the k classes as they were, and of the others what is left, shared evenly.
Targets Decode(const config::StoredTargets& contents, const TargetRequest& request, int64_t classes,
               const std::function<at::Tensor(const std::string& name)>& stored);

}  // namespace retort::kd
