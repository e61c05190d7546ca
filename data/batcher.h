// From indices to a batch of augmented and normalised images.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/augment_plan.h"
#include "retort/data/dataset.h"
#include "retort/data/policies/apply_policy.h"

namespace retort::data {

struct Batch {
  at::Tensor images;  // f32 [V,B,C,H,W]; each view contiguous or channels_last
  at::Tensor labels;  // i64 [B]
  at::Tensor index;   // i64 [B], position in the data set
  at::Tensor view;    // i64 [V]
};

// x[v,b,c,h,w] = (pixel / 255 - mean[c]) / std[c] of the window that `plan` draws for (index[b], view[v]), pixels
// outside the image being 0 before normalisation or reflected, after the plan's policies; 0 where the plan erases.
// Without policies this is one pass; with them a few images at a time are cropped, augmented and normalised in cache.
class Batcher {
 public:
  enum class Layout { kChannelsLast, kContiguous };

  // `dataset` must outlive the batcher. InvalidArgument if statistics do not have C entries, if the plan reflects more
  // than the image, or if it has policies and C is neither 1 nor 3.
  static absl::StatusOr<Batcher> Create(const Dataset* dataset, AugmentPlan plan, ChannelStatistics normalization,
                                        Layout layout);

  // OutOfRange for an index outside [0, N).
  absl::StatusOr<Batch> Assemble(absl::Span<const int64_t> index, absl::Span<const int64_t> views) const;

 private:
  Batcher(const Dataset* dataset, AugmentPlan plan, Layout layout)
      : dataset_(dataset), plan_(std::move(plan)), layout_(layout) {}

  // A part of a batch that has policies: index [n], params [n,7], images [n,C,H,W].
  absl::Status AssembleAugmented(const at::Tensor& index, absl::Span<const ImageView> views, const at::Tensor& params,
                                 const at::Tensor& images) const;

  const Dataset* dataset_;
  AugmentPlan plan_;
  Layout layout_;
  std::vector<float> scale_;   // [C], 1 / (255 std)
  std::vector<float> offset_;  // [C], -mean / std
};

}  // namespace retort::data
