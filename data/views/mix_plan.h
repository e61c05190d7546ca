// How each view of each image is mixed with its partner's.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"

namespace retort::data {

// (steps, seed) -> how (image, view) is mixed: stateless, the same for any batch size, order, thread or resume point.
//
//   mixup    with its probability: lambda ~ Beta(alpha, alpha) of every pixel (Zhang et al. 2018, arXiv 1710.09412)
//   cut_mix  with its probability, if not mixup: a box of the partner's pixels, centred uniformly, its sides
//            floor(sqrt(1 - lambda) H / 2) and floor(sqrt(1 - lambda) W / 2) pixels before and behind, lambda ~
//            Beta(alpha, alpha), less what lies beyond the view (Yun et al. 2019, arXiv 1905.04899)
//
// Draws are those of data/draws.h; mixup's tag also decides which it is.
class MixPlan {
 public:
  // Whom an image is mixed with.
  enum class Partners {
    kOfBatch,    // its neighbour in the batch
    kOfDataset,  // any other image, drawn too: the view is a function of (image, view) alone, and can be stored
  };

  // mixup, cut_mix, or both in this order. InvalidArgument for other steps and numbers out of range.
  static absl::StatusOr<MixPlan> Create(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                        uint64_t seed, Partners partners);

  Partners partners() const { return partners_; }

  struct Mix {
    float lambda = 1;  // share of the image's own pixels outside `box`, 0..1
    ops::Box box;      // of the partner's pixels, within the view
    float label = 1;   // share of the image's own label: lambda, less the box's share of the area
  };
  // The view is of `height` x `width` pixels.
  Mix Draw(int64_t image, int64_t view, int64_t height, int64_t width) const;

  // Of kOfDataset: which of `images` images, uniformly of all others; itself where it is the only one.
  int64_t DrawPartner(int64_t image, int64_t view, int64_t images) const;

 private:
  MixPlan() = default;

  uint64_t seed_ = 0;
  Partners partners_ = Partners::kOfBatch;
  config::Mixup mixup_;
  config::CutMix cut_mix_;
};

}  // namespace retort::data
