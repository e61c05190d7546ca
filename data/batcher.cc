#include "retort/data/batcher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "ATen/ops/arange.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_strided.h"
#include "ATen/ops/from_blob.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#include "retort/data/io/status_macros.h"
#include "retort/ops/torch/batch_assembly.h"
#include "retort/ops/torch/resize.h"

namespace retort::data {
namespace {

// Bytes of the images that are augmented at a time: what stays in cache.
constexpr int64_t kChunkBytes = 1 << 18;
// Enough for every thread; even.
constexpr int64_t kLeastChunk = 16;

// Of number `b` of `size` images.
int64_t Partner(int64_t b, int64_t size) { return (b ^ 1) < size ? b ^ 1 : std::max<int64_t>(b - 1, 0); }

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

absl::StatusOr<Batcher> Batcher::Create(const Dataset* dataset, ViewPlan plan, ChannelStatistics normalization,
                                        Layout layout) {
  RETORT_RETURN_IF_ERROR(CheckStatistics(normalization, dataset->channels));
  const AugmentPlan* const crop = plan.augment();
  if (crop != nullptr && crop->border() == ops::Border::kReflect &&
      crop->pad() >= std::min(dataset->height, dataset->width)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("crop.pad is %d, but images are %d x %d; permitted with border REFLECT is less than that",
                        crop->pad(), dataset->height, dataset->width));
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

Batcher::Mixing Batcher::Mixing::Part(int64_t first, int64_t size) const {
  if (!defined()) return {};
  return {partner.narrow(0, first, size).sub(first), lambda.narrow(0, first, size), box.narrow(0, first, size),
          label.narrow(0, first, size)};
}

at::Tensor Batcher::Images() const {
  return Wrap(dataset_->images, {dataset_->size, dataset_->height, dataset_->width, dataset_->channels});
}

Batcher::Mixing Batcher::DrawMixing(absl::Span<const int64_t> index, absl::Span<const int64_t> views) const {
  if (plan_.mix() == nullptr) return {};
  const int64_t b = static_cast<int64_t>(index.size()), n = static_cast<int64_t>(views.size()) * b;
  Mixing mixing = {at::empty({n}, at::kLong), at::empty({n}, at::kFloat), at::empty({n, 4}, at::kInt),
                   at::empty({n}, at::kFloat)};
  auto* const boxes = static_cast<ops::Box*>(mixing.box.mutable_data_ptr());
  for (int64_t i = 0; i < n; ++i) {
    const MixPlan::Mix mix = plan_.mix()->Draw(index[static_cast<size_t>(i % b)], views[static_cast<size_t>(i / b)],
                                               size_.height, size_.width);
    mixing.partner.mutable_data_ptr<int64_t>()[i] = i - i % b + Partner(i % b, b);
    mixing.lambda.mutable_data_ptr<float>()[i] = mix.lambda;
    boxes[i] = mix.box;
    mixing.label.mutable_data_ptr<float>()[i] = mix.label;
  }
  return mixing;
}

at::Tensor Batcher::DrawParams(absl::Span<const ImageView> views, std::vector<ops::CropResizeParams>* boxes) const {
  const at::Tensor params = at::empty({static_cast<int64_t>(views.size()), 7}, at::kInt);
  auto* draws = static_cast<ops::BatchAssemblyParams*>(params.mutable_data_ptr());
  for (const ImageView& view : views) {
    if (plan_.crop() == nullptr) {
      *draws++ = plan_.augment()->Draw(view.image, view.view, size_.height, size_.width);
      continue;
    }
    const ops::CropResizeParams box = plan_.crop()->Draw(view.image, view.view, static_cast<int>(dataset_->height),
                                                         static_cast<int>(dataset_->width));
    *draws = {};
    draws++->erase = {box.erase_top, box.erase_left, box.erase_top + box.erase_height,
                      box.erase_left + box.erase_width};
    boxes->push_back(box);
  }
  return params;
}

absl::StatusOr<Batch> Batcher::Assemble(absl::Span<const int64_t> index, absl::Span<const int64_t> views) const {
  RETORT_RETURN_IF_ERROR(CheckRange("index", index, dataset_->size));
  RETORT_RETURN_IF_ERROR(CheckRange("views", views, int64_t{std::numeric_limits<uint32_t>::max()} + 1));
  const int64_t v = static_cast<int64_t>(views.size()), b = static_cast<int64_t>(index.size());
  const int64_t c = dataset_->channels, h = size_.height, w = size_.width;

  Batch batch;
  batch.index = CopyOf(index);
  batch.view = CopyOf(views);
  batch.labels = at::empty({b}, at::kLong);
  auto* label = batch.labels.mutable_data_ptr<int64_t>();
  for (const int64_t image : index) *label++ = dataset_->labels[static_cast<size_t>(image)];
  batch.images = layout_ == Layout::kChannelsLast
                     ? at::empty_strided({v, b, c, h, w}, {b * h * w * c, h * w * c, 1, w * c, c}, at::kFloat)
                     : at::empty({v, b, c, h, w}, at::kFloat);
  const Mixing mixing = DrawMixing(index, views);
  if (mixing.defined()) {
    batch.lambda = mixing.label.view({v, b});
    at::Tensor partner = at::empty({b}, at::kLong);
    for (int64_t i = 0; i < b; ++i) partner.mutable_data_ptr<int64_t>()[i] = Partner(i, b);
    batch.partner_labels = batch.labels.index_select(0, partner);
    batch.partner = batch.index.index_select(0, partner);
  }
  if (v * b == 0) return batch;

  // All views are one batch for the op, [V*B].
  const at::Tensor all_index = batch.index.repeat({v}), all_images = batch.images.view({v * b, c, h, w});
  std::vector<ImageView> all_views;
  for (const int64_t view : views) {
    for (const int64_t image : index) all_views.push_back({image, view});
  }
  if (plan_.policies().empty() && !(plan_.crop() != nullptr && mixing.defined())) {
    std::vector<ops::CropResizeParams> boxes;
    const at::Tensor params = DrawParams(all_views, &boxes);
    if (plan_.crop() == nullptr) {
      RETORT_RETURN_IF_ERROR(Finish(Images(), all_index, params, plan_.augment()->border(), mixing, all_images));
    } else {
      RETORT_RETURN_IF_ERROR(ops::torch::CropResizeResident(
          Images(), all_index, boxes, plan_.crop()->filter(), Wrap(absl::MakeConstSpan(scale_), {c}),
          Wrap(absl::MakeConstSpan(offset_), {c}), at::zeros({c}, at::kFloat), all_images));
    }
    return batch;
  }
  // View by view and an even number at a time, so that partners meet.
  const int64_t chunk = std::max(kLeastChunk, kChunkBytes / std::max<int64_t>(h * w * c, 1) / 2 * 2);
  for (int64_t view = 0; view < v; ++view) {
    int64_t size = 0;
    for (int64_t done = 0; done < b; done += size) {
      size = b - done <= chunk + 1 ? b - done : chunk;
      const int64_t first = view * b + done;
      RETORT_RETURN_IF_ERROR(
          AssembleInSteps(all_index.narrow(0, first, size),
                          absl::MakeConstSpan(all_views).subspan(static_cast<size_t>(first), static_cast<size_t>(size)),
                          mixing.Part(first, size), all_images.narrow(0, first, size)));
    }
  }
  return batch;
}

absl::Status Batcher::AssembleInSteps(const at::Tensor& index, absl::Span<const ImageView> views, const Mixing& mixing,
                                      const at::Tensor& images) const {
  const int64_t n = index.size(0), c = dataset_->channels, h = size_.height, w = size_.width;
  std::vector<ops::CropResizeParams> boxes;
  const at::Tensor crop = DrawParams(views, &boxes), erase = crop.clone();
  auto* const crops = static_cast<ops::BatchAssemblyParams*>(crop.mutable_data_ptr());
  auto* const erasures = static_cast<ops::BatchAssemblyParams*>(erase.mutable_data_ptr());
  // First the pixels, then, after the policies, what is erased.
  for (int64_t i = 0; i < n; ++i) {
    crops[i].erase = {};
    erasures[i] = {.erase = erasures[i].erase};
  }
  for (ops::CropResizeParams& box : boxes) box.erase_height = box.erase_width = 0;
  const at::Tensor pixels = at::empty({n, h, w, c}, at::kByte);
  if (plan_.crop() == nullptr) {
    RETORT_RETURN_IF_ERROR(ops::torch::CropBatch(Images(), index, crop, plan_.augment()->border(), pixels));
  } else {
    RETORT_RETURN_IF_ERROR(ops::torch::CropResizeResident(Images(), index, boxes, plan_.crop()->filter(), {}, {}, {},
                                                          pixels.permute({0, 3, 1, 2})));
  }
  for (const AugmentPolicy& policy : plan_.policies()) {
    RETORT_RETURN_IF_ERROR(ApplyPolicy(policy, plan_.seed(), views, h, w, c, pixels.mutable_data_ptr<uint8_t>()));
  }
  return Finish(pixels, at::arange(n, at::kLong), erase, ops::Border::kZero, mixing, images);
}

absl::Status Batcher::Finish(const at::Tensor& pixels, const at::Tensor& index, const at::Tensor& params,
                             ops::Border border, const Mixing& mixing, const at::Tensor& images) const {
  const at::Tensor scale = Wrap(absl::MakeConstSpan(scale_), {dataset_->channels}),
                   offset = Wrap(absl::MakeConstSpan(offset_), {dataset_->channels});
  if (!mixing.defined()) return ops::torch::BatchAssembly(pixels, index, params, scale, offset, border, images);
  const auto with_partners = [&mixing](const at::Tensor& own) {
    return at::stack({own, own.index_select(0, mixing.partner)}, 1);
  };
  return ops::torch::MixedBatchAssembly(pixels, with_partners(index), with_partners(params), mixing.lambda, mixing.box,
                                        scale, offset, border, images);
}

}  // namespace retort::data
