#include "retort/kd/terms/projection.h"

#include <string>

#include "ATen/ops/relu.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"

namespace retort::kd {

absl::StatusOr<FeatureMaps> Projections::Inputs(const Step& step, int i) const {
  RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Features(step, pairs_[i], term_));
  const bool are_maps = maps.student.dim() == 4 && maps.teacher.dim() == 4;
  switch (config_.kind()) {
    case config::Projection::NONE:
      break;
    case config::Projection::CONV_1X1:
    case config::Projection::CONV_3X3:
    case config::Projection::CONV_TO_SIZE:
      if (!are_maps) return TapFault(pairs_[i], maps, term_, "[B,C,H,W] for a convolution");
      break;
    case config::Projection::LINEAR:
      if (are_maps || maps.student.dim() != maps.teacher.dim() || maps.student.dim() > 3) {
        return TapFault(pairs_[i], maps, term_, "[B,D] or [B,T,D] for a linear projection");
      }
  }
  return are_maps && config_.kind() != config::Projection::CONV_TO_SIZE ? Pooled(maps, pairs_[i], term_) : maps;
}

absl::StatusOr<ConvolutionShape> Projections::Shape(const FeatureMaps& maps, int i) const {
  ConvolutionShape shape = {maps.student.size(1), maps.teacher.size(1)};
  shape.bias = true;
  const auto square = [&](int64_t kernel, int64_t stride, int64_t padding) {
    shape.kernel_height = shape.kernel_width = kernel;
    shape.stride = stride;
    shape.padding = padding;
    return shape;
  };
  if (config_.kind() == config::Projection::CONV_1X1) return square(1, 1, 0);
  if (config_.kind() == config::Projection::CONV_3X3) return square(3, 1, 1);
  const int64_t height = maps.student.size(2), width = maps.student.size(3);
  const int64_t to_height = maps.teacher.size(2), to_width = maps.teacher.size(3);
  if (height == 2 * to_height && width == 2 * to_width) return square(3, 2, 1);
  if (2 * height == to_height && 2 * width == to_width) {
    shape.transposed = true;
    return square(4, 2, 1);
  }
  if (height >= to_height && width >= to_width) {
    shape.kernel_height = 1 + height - to_height;
    shape.kernel_width = 1 + width - to_width;
    return shape;
  }
  return TapFault(pairs_[i], maps, term_,
                  "[B,C,H,W], the student's half as high and wide as the teacher's, or nowhere smaller");
}

absl::Status Projections::Prepare(const Step& example) {
  parts_ = Parts();
  layers_.clear();
  for (int i = 0; i < size(); ++i) {
    RETORT_ASSIGN_OR_RETURN(const FeatureMaps maps, Inputs(example, i));
    if (i == 0) parts_ = Parts(maps.student.options());
    Layers layers;
    const bool linear = config_.kind() == config::Projection::LINEAR;
    if (linear) {
      layers.linear.emplace(maps.student.size(-1), maps.teacher.size(-1), absl::StrCat(i, ".linear"), &parts_);
    } else if (config_.kind() != config::Projection::NONE) {
      RETORT_ASSIGN_OR_RETURN(const ConvolutionShape shape, Shape(maps, i));
      layers.convolution.emplace(shape, absl::StrCat(i, ".conv"), &parts_);
      if (config_.batch_norm()) layers.norm.emplace(shape.out, absl::StrCat(i, ".norm"), &parts_);
    } else if (maps.student.sizes() != maps.teacher.sizes()) {
      return TapFault(pairs_[i], maps, term_, "of one shape (after pooling); choose a projection");
    }
    layers_.push_back(layers);
  }
  return absl::OkStatus();
}

absl::StatusOr<FeatureMaps> Projections::Apply(const Step& step, int i) const {
  RETORT_ASSIGN_OR_RETURN(FeatureMaps maps, Inputs(step, i));
  if (layers_.empty()) return absl::FailedPreconditionError(absl::StrCat(term_, ": Compute before Prepare"));
  const Layers& layers = layers_[i];
  if (layers.linear) maps.student = (*layers.linear)(maps.student);
  if (layers.convolution) maps.student = (*layers.convolution)(maps.student);
  if (maps.student.sizes() != maps.teacher.sizes()) {
    return TapFault(pairs_[i], maps, term_, "of one shape (after pooling and projection)");
  }
  if (layers.norm) {
    if (maps.student.numel() < 2 * maps.student.size(1)) {
      return TapFault(pairs_[i], maps, term_, "of two values a channel at least for batch norm");
    }
    maps.student = (*layers.norm)(maps.student);
  }
  if (config_.relu()) maps.student = at::relu(maps.student);
  return maps;
}

}  // namespace retort::kd
