// Losses of logits, each with its gradient in one pass over the rows: cross-entropy, KL at a temperature, both at once,
// the same with a teacher of which only the greatest logits are stored, and decoupled distillation.
#pragma once

#include <initializer_list>

#include "HalideRuntime.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "retort/ops/device.h"

namespace retort::ops {

// Shapes are written outermost first: the last letter is dim[0] of the buffer. B batch, K classes, k <= K stored ones.
//
// logits    f32 [B,K]  K >= 1; classes lie side by side (stride 1), the stride of rows is free, as in each [B,K] here
// labels    i64 [B]    each in [0,K); any stride
//
// -inf is a logit of probability 0. A row that holds NaN or +inf, or -inf alone, has the loss NaN (and so has the
// batch) and a gradient of NaN or of numbers without meaning; other rows are not touched by it. Where a probability is
// 0 that the target gives weight, the loss is +inf.
//
// Powers of e are good to 2 units in the last place, a row is summed in 16 (on a GPU 128) parts: a loss is within 1e-5
// max(1, |loss|, ln K, T) of the exact value, a gradient within 1e-6 of its largest possible element (weight T / B).
// Where most logits of a row are equal, every addition may err to the same side: by S = 6e-8 K / 16 of a sum, and T^2 S
// of a loss, which counts from K of 3,000 on. A result is the same for any number of threads, and differs within these
// tolerances between processors.
//
// Device: see ops/device.h. On a GPU labels and indices beyond K are taken for the nearest class; K is not limited.
//
// InvalidArgument for a buffer of the wrong type, shape or strides and for a parameter beyond its range. OutOfRange on
// the host for a label or an index beyond K, with its row. After an error nothing is written. An empty batch is
// permitted and writes nothing.

// A factor of a part of a loss.
struct NamedWeight {
  absl::string_view name;
  double value;
};

// InvalidArgument if label_smoothing is not in [0,1], temperature not finite and above 0, or a weight not finite. Every
// loss calls it; so do formulas that stand in for one.
absl::Status CheckLossParameters(absl::string_view op, double label_smoothing, double temperature,
                                 std::initializer_list<NamedWeight> weights = {});

// What a loss writes.
struct LossOutputs {
  // f32 [B,K]: of the total by the logits; add it where the caller differentiates.
  halide_buffer_t* gradient = nullptr;
  // f32 [B,1] or [B,2]: each row's loss, or its two parts, without weights and not divided by B.
  halide_buffer_t* rows = nullptr;
  // f32 [1]: the mean over rows. f32 [3] where there are two parts: their weighted sum, and the mean of each, without
  // weights.
  halide_buffer_t* loss = nullptr;
};

// Of a teacher's logits t[b,:] the k greatest (say), and what is needed to know the share of the others.
struct TopK {
  halide_buffer_t* values = nullptr;       // f32 [B,k]: t[b,indices]
  halide_buffer_t* indices = nullptr;      // i32 [B,k]: each in [0,K), in any order, none twice in a row
  halide_buffer_t* log_sum_exp = nullptr;  // f32 [B]: log sum_c exp t[b,c], over all K classes
};

// loss_b = -(1 - s) log p[label_b] - (s / K) sum_c log p[c], p = softmax(logits_b), s = label_smoothing in [0,1]
absl::Status CrossEntropy(halide_buffer_t* logits, halide_buffer_t* labels, float label_smoothing,
                          const LossOutputs& outputs, const Device& device = {});

// loss_b = -sum_c targets[b,c] log p[c]. targets f32 [B,K]: distributions, say of mixed images; their sum need not
// be 1.
absl::Status SoftCrossEntropy(halide_buffer_t* logits, halide_buffer_t* targets, const LossOutputs& outputs,
                              const Device& device = {});

// loss_b = T^2 sum_c p log(p / q), p = softmax(teacher_b / T), q = softmax(logits_b / T), teacher f32 [B,K], T > 0.
// Source: Hinton, Vinyals & Dean, arXiv 1503.02531; T^2 keeps the gradient's size independent of T.
absl::Status DistillKl(halide_buffer_t* logits, halide_buffer_t* teacher, float temperature, const LossOutputs& outputs,
                       const Device& device = {});

// A teacher, and what counts how much.
struct DistillParameters {
  float label_smoothing = 0;
  float temperature = 4;
  float hard_weight = 1;
  float soft_weight = 1;
};

// total = hard_weight mean_b CrossEntropy_b + soft_weight mean_b DistillKl_b; parts: cross-entropy, KL.
absl::Status CrossEntropyKl(halide_buffer_t* logits, halide_buffer_t* labels, halide_buffer_t* teacher,
                            const DistillParameters& parameters, const LossOutputs& outputs, const Device& device = {});

// The same with a teacher unpacked on the fly: t[b,c] = values where stored, and for all others, at any T,
//
//   t[b,c] = log_sum_exp_b + log( (1 - sum_j exp(values_bj - log_sum_exp_b)) / (K - k) ),
//
// so that at T = 1 they share evenly what probability is left; none, if nothing is left.
//
// The share that is left, R, is a difference. Computed from these f32 numbers it is off by up to 3e-7 (1 - p_1), p_1
// the greatest probability if that is above 0.71, otherwise 0: a loss by that times T m / R max_c |log(p / q)|, where m
// is the share of the others at T; they all have one logit, so that S counts, too. The rounding of log_sum_exp itself
// moves R by half a unit in its last place: of a share below 1e-4 little is known, unless more classes are stored.
absl::Status CrossEntropyTopK(halide_buffer_t* logits, halide_buffer_t* labels, const TopK& teacher,
                              const DistillParameters& parameters, const LossOutputs& outputs,
                              const Device& device = {});

// Decoupled distillation. With p, q as in DistillKl and y the label:
//
//   TCKD_b = T^2 KL( (p_y, 1 - p_y) || (q_y, 1 - q_y) ), NCKD_b = T^2 KL( p^ || q^ ), p^ = p without y, normalised
//   total = alpha mean_b TCKD_b + beta mean_b NCKD_b; parts: TCKD, NCKD
//
// K >= 2; with two classes NCKD is 0. A label's logit of -inf makes the student's TCKD +inf (where the teacher gives
// the label weight, otherwise what it is for p_y = 0); its gradient is the limit. Where every other class is -inf, p^
// or q^ is not defined and the row's loss is NaN. Source: Zhao et al., arXiv 2203.08679.
absl::Status Dkd(halide_buffer_t* logits, halide_buffer_t* teacher, halide_buffer_t* labels, float temperature,
                 float alpha, float beta, const LossOutputs& outputs, const Device& device = {});

}  // namespace retort::ops
