// Augmentation steps of a config on one image.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "nlohmann/json_fwd.hpp"

#include "retort/data/augment.pb.h"
#include "retort/ops/codecs/image.h"

namespace retort::tools {

// A view of one image, drawn and made as a training draws and makes it, but left in pixels: what is erased is black.
class Steps {
 public:
  virtual ~Steps() = default;

  // InvalidArgument names the step at fault. See data/views/view_plan.h.
  static absl::StatusOr<std::unique_ptr<Steps>> Create(
      const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps, uint64_t seed);

  virtual absl::StatusOr<ops::Image> Apply(const ops::Image& image, int64_t index, int64_t view) const = 0;

  // What is drawn for (index, view): crop or box, flip, ops with their arguments, what is erased.
  virtual nlohmann::json Params(const ops::Image& image, int64_t index, int64_t view) const = 0;
};

// Images of one size side by side, in rows as long as there are rows, or a little longer; white where none is left.
ops::Image ContactSheet(absl::Span<const ops::Image> images);

}  // namespace retort::tools
