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
#include "absl/strings/str_join.h"

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

at::Tensor IndexOf(absl::Span<const ImageView> views) {
  const at::Tensor index = at::empty({static_cast<int64_t>(views.size())}, at::kLong);
  auto* image = index.mutable_data_ptr<int64_t>();
  for (const ImageView& view : views) *image++ = view.image;
  return index;
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

at::Tensor LabelsOf(const Dataset& dataset, const at::Tensor& index) {
  return Wrap(absl::MakeConstSpan(dataset.labels), {dataset.size}).index_select(0, index);
}

Batcher::Mixing Batcher::Mixing::Part(int64_t first, int64_t size) const {
  if (!defined()) return {};
  Mixing part = {{}, lambda.narrow(0, first, size), box.narrow(0, first, size), label.narrow(0, first, size), {}};
  if (drawn.empty()) {
    part.partner = partner.narrow(0, first, size).sub(first);
  } else {
    part.drawn = {drawn.begin() + first, drawn.begin() + first + size};
  }
  return part;
}

at::Tensor Batcher::Images() const {
  return Wrap(dataset_->images, {dataset_->size, dataset_->height, dataset_->width, dataset_->channels});
}

Batcher::Mixing Batcher::DrawMixing(absl::Span<const ImageView> views, int64_t images, const at::Tensor& mix) const {
  if (plan_.mix() == nullptr) return {};
  const auto n = static_cast<int64_t>(views.size());
  Mixing mixing = {{}, at::empty({n}, at::kFloat), at::empty({n, 4}, at::kInt), at::empty({n}, at::kFloat), {}};
  const bool of_batch = plan_.mix()->partners() == MixPlan::Partners::kOfBatch;
  if (of_batch) mixing.partner = at::empty({n}, at::kLong);
  auto* const boxes = static_cast<ops::Box*>(mixing.box.mutable_data_ptr());
  for (int64_t i = 0; i < n; ++i) {
    const ImageView& view = views[static_cast<size_t>(i)];
    const int64_t number = of_batch && mix.defined() ? mix.const_data_ptr<int64_t>()[i / images] : view.view;
    const MixPlan::Mix drawn = plan_.mix()->Draw(view.image, number, size_.height, size_.width);
    if (of_batch) {
      mixing.partner.mutable_data_ptr<int64_t>()[i] = i - i % images + Partner(i % images, images);
    } else {
      mixing.drawn.push_back({plan_.mix()->DrawPartner(view.image, view.view, dataset_->size), view.view});
    }
    mixing.lambda.mutable_data_ptr<float>()[i] = drawn.lambda;
    boxes[i] = drawn.box;
    mixing.label.mutable_data_ptr<float>()[i] = drawn.label;
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
  return AssembleEach(index, CopyOf(views).unsqueeze(1).repeat({1, static_cast<int64_t>(index.size())}));
}

absl::StatusOr<Batch> Batcher::AssembleEach(absl::Span<const int64_t> index, const at::Tensor& view,
                                            const at::Tensor& mix) const {
  const int64_t b = static_cast<int64_t>(index.size());
  if (view.scalar_type() != at::kLong || view.dim() != 2 || view.size(1) != b || !view.is_contiguous()) {
    return absl::InvalidArgumentError(absl::StrFormat("batch: view is %s [%s]; permitted is contiguous i64 [V,%d]",
                                                      c10::toString(view.scalar_type()),
                                                      absl::StrJoin(view.sizes(), ","), b));
  }
  const absl::Span<const int64_t> numbers(view.const_data_ptr<int64_t>(), static_cast<size_t>(view.numel()));
  RETORT_RETURN_IF_ERROR(CheckRange("index", index, dataset_->size));
  RETORT_RETURN_IF_ERROR(CheckRange("views", numbers, int64_t{std::numeric_limits<uint32_t>::max()} + 1));
  const int64_t v = view.size(0), c = dataset_->channels, h = size_.height, w = size_.width;
  if (mix.defined() && (mix.scalar_type() != at::kLong || mix.dim() != 1 || mix.size(0) != v || !mix.is_contiguous())) {
    return absl::InvalidArgumentError(absl::StrFormat("batch: mix is %s [%s]; permitted is contiguous i64 [%d]",
                                                      c10::toString(mix.scalar_type()), absl::StrJoin(mix.sizes(), ","),
                                                      v));
  }

  Batch batch;
  batch.index = CopyOf(index);
  batch.view = view;
  batch.mix = mix;
  batch.labels = LabelsOf(*dataset_, batch.index);
  batch.images = layout_ == Layout::kChannelsLast
                     ? at::empty_strided({v, b, c, h, w}, {b * h * w * c, h * w * c, 1, w * c, c}, at::kFloat)
                     : at::empty({v, b, c, h, w}, at::kFloat);
  // All views are one batch for the op, [V*B].
  std::vector<ImageView> views;
  for (size_t i = 0; i < numbers.size(); ++i) views.push_back({index[i % index.size()], numbers[i]});
  const Mixing mixing = DrawMixing(views, b, mix);
  if (mixing.defined()) {
    batch.lambda = mixing.label.view({v, b});
    if (mixing.partner.defined()) {
      batch.partner = at::empty({b}, at::kLong);
      for (int64_t i = 0; i < b; ++i) batch.partner.mutable_data_ptr<int64_t>()[i] = Partner(i, b);
      batch.partner_labels = batch.labels.index_select(0, batch.partner).repeat({v, 1});
    } else {
      batch.partner_labels = LabelsOf(*dataset_, IndexOf(mixing.drawn)).view({v, b});
    }
  }
  if (v * b == 0) return batch;

  const at::Tensor images = batch.images.view({v * b, c, h, w});
  if (!InSteps()) {
    RETORT_RETURN_IF_ERROR(AssemblePart(views, mixing, images));
    return batch;
  }
  // View by view and an even number at a time, so that partners meet.
  const int64_t chunk = std::max(kLeastChunk, kChunkBytes / std::max<int64_t>(h * w * c, 1) / 2 * 2);
  for (int64_t row = 0; row < v; ++row) {
    int64_t size = 0;
    for (int64_t done = 0; done < b; done += size) {
      size = b - done <= chunk + 1 ? b - done : chunk;
      const int64_t first = row * b + done;
      RETORT_RETURN_IF_ERROR(
          AssemblePart(absl::MakeConstSpan(views).subspan(static_cast<size_t>(first), static_cast<size_t>(size)),
                       mixing.Part(first, size), images.narrow(0, first, size)));
    }
  }
  return batch;
}

absl::Status Batcher::AssemblePart(absl::Span<const ImageView> views, const Mixing& mixing,
                                   const at::Tensor& images) const {
  std::vector<ImageView> sources(views.begin(), views.end());
  sources.insert(sources.end(), mixing.drawn.begin(), mixing.drawn.end());
  const at::Tensor index = IndexOf(sources);
  std::vector<ops::CropResizeParams> boxes;
  const at::Tensor params = DrawParams(sources, &boxes);
  if (!InSteps()) {
    if (plan_.crop() == nullptr) return Finish(Images(), index, params, plan_.augment()->border(), mixing, images);
    return ops::torch::CropResizeResident(
        Images(), index, boxes, plan_.crop()->filter(), Wrap(absl::MakeConstSpan(scale_), {dataset_->channels}),
        Wrap(absl::MakeConstSpan(offset_), {dataset_->channels}), at::zeros({dataset_->channels}, at::kFloat), images);
  }
  // First the pixels, then, after the policies, what is erased.
  const int64_t n = index.size(0), c = dataset_->channels, h = size_.height, w = size_.width;
  const at::Tensor erase = params.clone();
  auto* const crops = static_cast<ops::BatchAssemblyParams*>(params.mutable_data_ptr());
  auto* const erasures = static_cast<ops::BatchAssemblyParams*>(erase.mutable_data_ptr());
  for (int64_t i = 0; i < n; ++i) {
    crops[i].erase = {};
    erasures[i] = {.erase = erasures[i].erase};
  }
  for (ops::CropResizeParams& box : boxes) box.erase_height = box.erase_width = 0;
  const at::Tensor pixels = at::empty({n, h, w, c}, at::kByte);
  if (plan_.crop() == nullptr) {
    RETORT_RETURN_IF_ERROR(ops::torch::CropBatch(Images(), index, params, plan_.augment()->border(), pixels));
  } else {
    RETORT_RETURN_IF_ERROR(ops::torch::CropResizeResident(Images(), index, boxes, plan_.crop()->filter(), {}, {}, {},
                                                          pixels.permute({0, 3, 1, 2})));
  }
  for (const AugmentPolicy& policy : plan_.policies()) {
    RETORT_RETURN_IF_ERROR(ApplyPolicy(policy, plan_.seed(), sources, h, w, c, pixels.mutable_data_ptr<uint8_t>()));
  }
  return Finish(pixels, at::arange(n, at::kLong), erase, ops::Border::kZero, mixing, images);
}

absl::Status Batcher::Finish(const at::Tensor& pixels, const at::Tensor& index, const at::Tensor& params,
                             ops::Border border, const Mixing& mixing, const at::Tensor& images) const {
  const at::Tensor scale = Wrap(absl::MakeConstSpan(scale_), {dataset_->channels}),
                   offset = Wrap(absl::MakeConstSpan(offset_), {dataset_->channels});
  if (!mixing.defined()) return ops::torch::BatchAssembly(pixels, index, params, scale, offset, border, images);
  const auto with_partners = [&mixing, n = images.size(0)](const at::Tensor& of_sources) {
    const at::Tensor own = of_sources.narrow(0, 0, n);
    const at::Tensor partners = mixing.drawn.empty() ? own.index_select(0, mixing.partner) : of_sources.narrow(0, n, n);
    return at::stack({own, partners}, 1);
  };
  return ops::torch::MixedBatchAssembly(pixels, with_partners(index), with_partners(params), mixing.lambda, mixing.box,
                                        scale, offset, border, images);
}

}  // namespace retort::data
