// Position embeddings of vision transformers for images of another size.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"

namespace retort::nn {

// Patches down and across an image.
struct PatchGrid {
  int64_t rows;
  int64_t columns;
};

// embedding [1,N+R*C,D], the first N tokens without a place in the image -> [1,N+target.rows*target.columns,D].
//
// Those N stay as they are. The others are resampled over the image by bicubic interpolation with antialiasing (Keys'
// a = -0.5), in either direction, as timm/layers/pos_embed.py: resample_abs_pos_embed. Computed in f32, given in the
// type of `embedding`, and detached from it. `source` is the grid R x C that `embedding` was trained for; without it R
// = C.
//
// InvalidArgument unless `embedding` has that shape and a floating-point type, and `target` is positive.
absl::StatusOr<at::Tensor> ResamplePositionEmbedding(const at::Tensor& embedding, int64_t prefix_tokens,
                                                     PatchGrid target,
                                                     absl::optional<PatchGrid> source = absl::nullopt);

}  // namespace retort::nn
