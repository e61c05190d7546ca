#include "retort/data/batcher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/empty_strided.h"
#include "ATen/ops/from_blob.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#include "retort/data/io/status_macros.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/torch/batch_assembly.h"

namespace retort::data {
namespace {

// Bytes of the images that are augmented at a time: what stays in cache.
constexpr int64_t kChunkBytes = 1 << 18;
// Enough for every thread.
constexpr int64_t kLeastChunk = 16;

// A tensor over memory that is only read.
template <typename T>
at::Tensor Wrap(absl::Span<const T> values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<T*>(values.data()), shape, c10::CppTypeToScalarType<T>::value);
}

at::Tensor CopyOf(absl::Span<const int64_t> values) {
  return Wrap(values, {static_cast<int64_t>(values.size())}).clone();
}

absl::Status CheckStatistics(const ChannelStatistics& statistics, int64_t channels) {
  if (static_cast<int64_t>(statistics.mean.size()) != channels ||
      static_cast<int64_t>(statistics.std.size()) != channels) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "normalization has %d means and %d standard deviations, but images have %d channels; give one each a "
        "channel",
        statistics.mean.size(), statistics.std.size(), channels));
  }
  for (size_t c = 0; c < statistics.mean.size(); ++c) {
    if (!std::isfinite(statistics.mean[c]) || !std::isfinite(statistics.std[c]) || statistics.std[c] <= 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "normalization of channel %d has mean %g and standard deviation %g; give a finite mean and a finite "
          "standard deviation greater than 0",
          c, statistics.mean[c], statistics.std[c]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRange(absl::string_view name, absl::Span<const int64_t> values, int64_t size) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= size) {
      return absl::OutOfRangeError(
          absl::StrFormat("batch: %s[%d] = %d; permitted are 0..%d", name, i, values[i], size - 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Batcher> Batcher::Create(const Dataset* dataset, AugmentPlan plan, ChannelStatistics normalization,
                                        Layout layout) {
  RETORT_RETURN_IF_ERROR(CheckStatistics(normalization, dataset->channels));
  if (plan.border() == ops::Border::kReflect && plan.pad() >= std::min(dataset->height, dataset->width)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("crop.pad is %d, but images are %d x %d; permitted with border REFLECT is less than that",
                        plan.pad(), dataset->height, dataset->width));
  }
  if (!plan.policies().empty() && dataset->channels != 1 && dataset->channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the augmentation has policies such as auto_augment, but images have %d channels; permitted "
                        "are 1 and 3",
                        dataset->channels));
  }
  Batcher batcher(dataset, std::move(plan), layout);
  for (size_t c = 0; c < normalization.mean.size(); ++c) {
    batcher.scale_.push_back(static_cast<float>(1 / (255 * normalization.std[c])));
    batcher.offset_.push_back(static_cast<float>(-normalization.mean[c] / normalization.std[c]));
  }
  return batcher;
}

absl::StatusOr<Batch> Batcher::Assemble(absl::Span<const int64_t> index, absl::Span<const int64_t> views) const {
  RETORT_RETURN_IF_ERROR(CheckRange("index", index, dataset_->size));
  RETORT_RETURN_IF_ERROR(CheckRange("views", views, int64_t{std::numeric_limits<uint32_t>::max()} + 1));
  const int64_t v = static_cast<int64_t>(views.size()), b = static_cast<int64_t>(index.size());
  const int64_t c = dataset_->channels, h = dataset_->height, w = dataset_->width;

  // All views are one batch for the op, [V*B].
  const at::Tensor params = at::empty({v * b, 7}, at::kInt);
  auto* draws = static_cast<ops::BatchAssemblyParams*>(params.mutable_data_ptr());
  for (const int64_t view : views) {
    for (const int64_t image : index) *draws++ = plan_.Draw(image, view, h, w);
  }

  Batch batch;
  batch.index = CopyOf(index);
  batch.view = CopyOf(views);
  batch.labels = at::empty({b}, at::kLong);
  auto* label = batch.labels.mutable_data_ptr<int64_t>();
  for (const int64_t image : index) *label++ = dataset_->labels[static_cast<size_t>(image)];
  batch.images = layout_ == Layout::kChannelsLast
                     ? at::empty_strided({v, b, c, h, w}, {b * h * w * c, h * w * c, 1, w * c, c}, at::kFloat)
                     : at::empty({v, b, c, h, w}, at::kFloat);
  const at::Tensor all_index = batch.index.repeat({v}), all_images = batch.images.view({v * b, c, h, w});
  if (plan_.policies().empty()) {
    RETORT_RETURN_IF_ERROR(ops::torch::BatchAssembly(
        Wrap(dataset_->images, {dataset_->size, h, w, c}), all_index, params, Wrap(absl::MakeConstSpan(scale_), {c}),
        Wrap(absl::MakeConstSpan(offset_), {c}), plan_.border(), all_images));
    return batch;
  }
  std::vector<ImageView> all_views;
  for (const int64_t view : views) {
    for (const int64_t image : index) all_views.push_back({image, view});
  }
  const int64_t chunk = std::max(kLeastChunk, kChunkBytes / std::max<int64_t>(h * w * c, 1));
  for (int64_t first = 0; first < v * b; first += chunk) {
    const int64_t size = std::min(chunk, v * b - first);
    RETORT_RETURN_IF_ERROR(
        AssembleAugmented(all_index.narrow(0, first, size),
                          absl::MakeConstSpan(all_views).subspan(static_cast<size_t>(first), static_cast<size_t>(size)),
                          params.narrow(0, first, size), all_images.narrow(0, first, size)));
  }
  return batch;
}

absl::Status Batcher::AssembleAugmented(const at::Tensor& index, absl::Span<const ImageView> views,
                                        const at::Tensor& params, const at::Tensor& images) const {
  const int64_t n = index.size(0), c = dataset_->channels, h = dataset_->height, w = dataset_->width;
  // First crop and flip, then, after the policies, erase.
  const at::Tensor crop = params.clone(), erase = params.clone();
  auto* const crops = static_cast<ops::BatchAssemblyParams*>(crop.mutable_data_ptr());
  auto* const erasures = static_cast<ops::BatchAssemblyParams*>(erase.mutable_data_ptr());
  const at::Tensor pixels = at::empty({n, h, w, c}, at::kByte), position = at::empty({n}, at::kLong);
  for (int64_t i = 0; i < n; ++i) {
    crops[i].erase = {};
    erasures[i] = {.erase = erasures[i].erase};
    position.mutable_data_ptr<int64_t>()[i] = i;
  }
  RETORT_RETURN_IF_ERROR(
      ops::torch::CropBatch(Wrap(dataset_->images, {dataset_->size, h, w, c}), index, crop, plan_.border(), pixels));
  for (const AugmentPolicy& policy : plan_.policies()) {
    RETORT_RETURN_IF_ERROR(ApplyPolicy(policy, plan_.seed(), views, h, w, c, pixels.mutable_data_ptr<uint8_t>()));
  }
  return ops::torch::BatchAssembly(pixels, position, erase, Wrap(absl::MakeConstSpan(scale_), {c}),
                                   Wrap(absl::MakeConstSpan(offset_), {c}), ops::Border::kZero, images);
}

}  // namespace retort::data
