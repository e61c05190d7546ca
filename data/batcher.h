// From indices to a batch of augmented and normalised images.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/dataset.h"
#include "retort/data/policies/apply_policy.h"
#include "retort/data/views/view_plan.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/resize/crop_resize_params.h"

namespace retort::data {

struct Batch {
  at::Tensor images;  // f32 [V,B,C,H,W]; each view contiguous or channels_last
  at::Tensor labels;  // i64 [B]
  at::Tensor index;   // i64 [B], position in the data set
  at::Tensor view;    // i64 [V,B], number of each view
  at::Tensor mix;     // i64 [V], as AssembleEach was given them
  // Where images are mixed, otherwise undefined: share of `labels`, 0..1, the rest being that of `partner_labels`.
  at::Tensor lambda;          // f32 [V,B]
  at::Tensor partner_labels;  // i64 [V,B]
  at::Tensor partner;         // i64 [B], position in the batch; undefined where it is drawn from the whole data set
};

// Labels i64 [B] of `index` i64 [B], positions in the data set.
at::Tensor LabelsOf(const Dataset& dataset, const at::Tensor& index);

// x[v,b,c,h,w] = (pixel / 255 - mean[c]) / std[c] of the view that `plan` draws for (index[b], view[v,b]), pixels
// outside the image being 0 before normalisation or reflected; 0 where the plan erases.
//
// Where the plan mixes, two such views become one, as MixedBatchAssembly says. Partners of a batch are paired as they
// come: first and second, third and fourth; the last of an odd number has the one before it, a lone one itself. So a
// view is a function of both images, and of nothing else in the batch. A partner drawn from the data set has the view
// of the image's own number.
//
// Without policies this is one pass, but for views that are both resized and mixed; otherwise a few images at a time,
// 256 kB of pixels or 16 views and their copies, are made, augmented and normalised in cache. Memory besides: less than
// 400 bytes an image, and where it is resized, the weights of its rows and columns.
class Batcher {
 public:
  enum class Layout { kChannelsLast, kContiguous };

  // `dataset` must outlive the batcher. InvalidArgument if statistics do not have C entries, if the plan reflects more
  // than the image, or if it has policies and C is neither 1 nor 3.
  static absl::StatusOr<Batcher> Create(const Dataset* dataset, ViewPlan plan, ChannelStatistics normalization,
                                        Layout layout);

  // Of the views.
  int64_t height() const { return size_.height; }
  int64_t width() const { return size_.width; }

  // The same views of all images. OutOfRange for an index outside [0, N) and a view outside [0, 2^32).
  absl::StatusOr<Batch> Assemble(absl::Span<const int64_t> index, absl::Span<const int64_t> views) const;

  // Views of each image's own: `view` i64 [V,B]. How partners of the batch are mixed is drawn by the numbers `mix` [V],
  // or by those of the views where it is undefined: so one view can be mixed anew in every epoch. InvalidArgument for
  // other types or sizes.
  absl::StatusOr<Batch> AssembleEach(absl::Span<const int64_t> index, const at::Tensor& view,
                                     const at::Tensor& mix = {}) const;

 private:
  // How views are mixed, n of them; undefined where they are not.
  struct Mixing {
    at::Tensor partner;            // i64 [n], which of them
    at::Tensor lambda;             // f32 [n]
    at::Tensor box;                // i32 [n,4]
    at::Tensor label;              // f32 [n]
    std::vector<ImageView> drawn;  // n partners in the place of `partner`, or none

    bool defined() const { return lambda.defined(); }
    // `size` of them from `first` on, which have their partners among them.
    Mixing Part(int64_t first, int64_t size) const;
  };

  Batcher(const Dataset* dataset, ViewPlan plan, Layout layout)
      : dataset_(dataset),
        plan_(std::move(plan)),
        layout_(layout),
        size_(plan_.SizeOf({dataset->height, dataset->width})) {}

  // Of V views of B images each; `mix` as AssembleEach has it.
  Mixing DrawMixing(absl::Span<const ImageView> views, int64_t images, const at::Tensor& mix) const;

  // params i32 [n,7] of the pixels to come of `views`: all but the erased rectangle being nothing where they have a
  // size of their own, as `boxes` says the rest.
  at::Tensor DrawParams(absl::Span<const ImageView> views, std::vector<ops::CropResizeParams>* boxes) const;

  // `views` to images [n,C,h,w], which are made of these alone.
  absl::Status AssemblePart(absl::Span<const ImageView> views, const Mixing& mixing, const at::Tensor& images) const;

  // Crop, flip and normalise, erase and mix: pixels u8 [N,h,w,C], and index [m], params [m,7] of the views and of drawn
  // partners, to images [n,C,h,w].
  absl::Status Finish(const at::Tensor& pixels, const at::Tensor& index, const at::Tensor& params, ops::Border border,
                      const Mixing& mixing, const at::Tensor& images) const;

  // Whether views need more than one pass.
  bool InSteps() const { return !plan_.policies().empty() || (plan_.crop() != nullptr && plan_.mix() != nullptr); }

  at::Tensor Images() const;  // u8 [N,H,W,C]

  const Dataset* dataset_;
  ViewPlan plan_;
  Layout layout_;
  ViewPlan::Size size_;        // of views
  std::vector<float> scale_;   // [C], 1 / (255 std)
  std::vector<float> offset_;  // [C], -mean / std
};

}  // namespace retort::data
