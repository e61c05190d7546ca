// The losses of ops/losses/softmax_loss.h on tensors, differentiable by the logits.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"

#include "retort/ops/losses/softmax_loss.h"

namespace retort::ops::torch {

// B batch, K classes, k <= K stored ones. logits [B,K], labels i64 [B], teachers and targets [B,K] of the logits' type;
// teachers and targets are constants here. Any strides; what has a row a sample is read where it lies if the row's
// numbers lie side by side, and copied first if not. All on cpu, or all on one CUDA device.
//
// Logits of f32 take the fused op, whose gradient is there as soon as the loss is; other types, and a backward pass
// that is to be differentiated again (create_graph), take the formula in plain ATen operators.
//
// The loss of an empty batch is 0. Errors, for logits of any type: those of ops/losses/softmax_loss.h and
// TensorView::Create.

absl::StatusOr<at::Tensor> CrossEntropy(const at::Tensor& logits, const at::Tensor& labels, double label_smoothing);

absl::StatusOr<at::Tensor> SoftCrossEntropy(const at::Tensor& logits, const at::Tensor& targets);

absl::StatusOr<at::Tensor> DistillKl(const at::Tensor& logits, const at::Tensor& teacher, double temperature);

// A weighted sum, and its parts without weights; only the sum is differentiable.
struct TwoPartLoss {
  at::Tensor total;
  at::Tensor parts[2];
};

absl::StatusOr<TwoPartLoss> CrossEntropyKl(const at::Tensor& logits, const at::Tensor& labels,
                                           const at::Tensor& teacher, const DistillParameters& parameters);

// values [B,k] of the logits' type, indices i32 [B,k], log_sum_exp [B] of the logits' type: ops::TopK.
absl::StatusOr<TwoPartLoss> CrossEntropyTopK(const at::Tensor& logits, const at::Tensor& labels,
                                             const at::Tensor& values, const at::Tensor& indices,
                                             const at::Tensor& log_sum_exp, const DistillParameters& parameters);

absl::StatusOr<TwoPartLoss> Dkd(const at::Tensor& logits, const at::Tensor& teacher, const at::Tensor& labels,
                                double temperature, double alpha, double beta);

}  // namespace retort::ops::torch
