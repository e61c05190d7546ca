// Augmentation steps of a config on an image.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "nlohmann/json_fwd.hpp"

#include "retort/data/augment.pb.h"
#include "retort/ops/codecs/image.h"

namespace retort::tools {

// An image, and which it is to the draws.
struct Input {
  ops::Image image;
  int64_t index = 0;
};

// The views of an image by their numbers.
class Views {
 public:
  virtual ~Views() = default;
  virtual absl::StatusOr<ops::Image> Make(int64_t view) const = 0;
  // What is drawn for it: crop or box, flip, ops with their arguments, what is erased, how it is mixed.
  virtual nlohmann::json Params(int64_t view) const = 0;
};

// Views as a training draws and makes them, but left in pixels: what is erased is black. `partner` is what mixup and
// cut_mix mix the image with, which is the other image of a training's pair; a mixed pixel is the nearest integer.
//
// InvalidArgument names the step at fault (data/views/view_plan.h); so it does if steps that mix have no partner, if
// others have one, or if the two have not one size.
absl::StatusOr<std::unique_ptr<Views>> MakeViews(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                                 uint64_t seed, Input input, absl::optional<Input> partner);

// Images of one size side by side, in rows as long as there are rows, or a little longer; white where none is left.
ops::Image ContactSheet(absl::Span<const ops::Image> images);

}  // namespace retort::tools
