// Stored targets against what their teacher says.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/strings/string_view.h"

#include "retort/kd/targets/target_cache.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// Of each record, a row of n, f64 [n].
struct Deviation {
  // max_i of |stored_i - exact_i| less half a step of the precision at exact_i, at least 0: what storing does not
  // explain. FP32 has no step; FP16 and BF16 have one of 2^-10 and 2^-7 of the number at most; INT8 has (max - min) /
  // 255. With top_k, of the logits of the k classes that are stored.
  at::Tensor by;
  // How far two f32 passes of one teacher over an image may lie apart, by what else is in the batch:
  // 2^-16 max_i |exact_i|, 256 units of rounding. A sum of N products in another order differs by about sqrt(N) units,
  // 55 of the widest ViT's 3072, and tens of such sums follow on each other, sqrt of their number times that. Gradients
  // are linear in p - y, softmax less label, whose rounding is that of 1: 2^-16 max_i |exact_i| / (1 - p_label).
  at::Tensor rounding;
};

// Of target `name` (TargetNames): `stored`, as Decode gives it, against the teacher's f32 targets, which must have the
// logits. labels: i64 [n].
Deviation DeviationOf(const config::StoredTargets& contents, absl::string_view name, const at::Tensor& stored,
                      const Targets& exact, const at::Tensor& labels);

}  // namespace retort::kd
