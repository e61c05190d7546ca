#include "retort/nn/models/position_embedding.h"

#include <cmath>
#include <string>

#include "ATen/core/Formatting.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/_upsample_bicubic2d_aa.h"
#include "ATen/ops/cat.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::nn {

absl::StatusOr<at::Tensor> ResamplePositionEmbedding(const at::Tensor& embedding, int64_t prefix_tokens,
                                                     PatchGrid target, absl::optional<PatchGrid> source) {
  const std::string shape = absl::StrCat("position embedding [", absl::StrJoin(embedding.sizes(), ","), "]");
  if (!embedding.is_floating_point() || embedding.dim() != 3 || embedding.size(0) != 1 || embedding.size(2) < 1 ||
      prefix_tokens < 0 || embedding.size(1) <= prefix_tokens) {
    return absl::InvalidArgumentError(absl::StrCat(shape, " of type ", c10::toString(embedding.scalar_type()),
                                                   ": must be a floating-point [1,T,D], T > ", prefix_tokens,
                                                   " prefix tokens"));
  }
  if (target.rows < 1 || target.columns < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(shape, ": the target grid ", target.rows, "x", target.columns, " must be positive"));
  }
  const int64_t count = embedding.size(1) - prefix_tokens;
  if (!source.has_value()) {
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(count))));
    source = PatchGrid{side, side};
  }
  if (source->rows < 1 || source->columns < 1 || count % source->rows != 0 || count / source->rows != source->columns) {
    return absl::InvalidArgumentError(absl::StrCat(shape, ": its ", count, " tokens after ", prefix_tokens,
                                                   " prefix tokens are no grid of ", source->rows, "x", source->columns,
                                                   "; name the grid that it was trained for"));
  }

  const at::NoGradGuard no_grad;
  if (source->rows == target.rows && source->columns == target.columns) return embedding.detach();
  const at::Tensor grid = embedding.narrow(1, prefix_tokens, count)
                              .to(at::kFloat)
                              .reshape({1, source->rows, source->columns, -1})
                              .permute({0, 3, 1, 2})
                              .contiguous();
  const at::Tensor resampled = at::_upsample_bicubic2d_aa(grid, {target.rows, target.columns}, /*align_corners=*/false)
                                   .permute({0, 2, 3, 1})
                                   .reshape({1, target.rows * target.columns, -1})
                                   .to(embedding.scalar_type());
  return at::cat({embedding.narrow(1, 0, prefix_tokens), resampled}, 1);
}

}  // namespace retort::nn
