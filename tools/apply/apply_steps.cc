#include "retort/tools/apply/apply_steps.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "HalideBuffer.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/status_macros.h"
#include "retort/data/policies/apply_policy.h"
#include "retort/data/policies/augment_choice.h"
#include "retort/data/policies/augment_policy.h"
#include "retort/data/views/augment_plan.h"
#include "retort/data/views/crop_plan.h"
#include "retort/data/views/mix_plan.h"
#include "retort/data/views/view_plan.h"
#include "retort/ops/batch_assembly/batch_assembly.h"
#include "retort/ops/batch_assembly/batch_assembly_params.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resize.h"

namespace retort::tools {
namespace {

using ::Halide::Runtime::Buffer;
using ::nlohmann::json;

constexpr int kChannels = 3;

ops::Image Black(int height, int width) {
  return {height, width, height, width, std::vector<uint8_t>(static_cast<size_t>(height) * width * kChannels)};
}

Buffer<uint8_t, 3> View(const ops::Image& image) {
  return Buffer<uint8_t, 3>(const_cast<uint8_t*>(image.pixels.data()), kChannels, image.width, image.height);
}

// Such pixels as [1,C,H,W].
template <typename T>
Buffer<T, 4> Planes(T* pixels, const ops::Image& image) {
  const int row = image.width * kChannels;
  const halide_dimension_t nchw[] = {
      {0, image.width, kChannels}, {0, image.height, row}, {0, kChannels, 1}, {0, 1, image.height * row}};
  return Buffer<T, 4>(pixels, 4, nchw);
}

void Erase(const ops::Box& box, ops::Image* image) {
  for (int y = std::max(box.top, 0); y < std::min(box.bottom, image->height); ++y) {
    for (int x = std::max(box.left, 0); x < std::min(box.right, image->width); ++x) {
      std::fill_n(&image->pixels[(static_cast<size_t>(y) * image->width + x) * kChannels], kChannels, uint8_t{0});
    }
  }
}

ops::Box ErasedBox(const ops::CropResizeParams& params) {
  return {params.erase_top, params.erase_left, params.erase_top + params.erase_height,
          params.erase_left + params.erase_width};
}

// As training mixes two views, but that numbers are pixels: scale 1, offset 0.
absl::StatusOr<ops::Image> Mix(const ops::Image& own, const ops::Image& other, data::MixPlan::Mix mix) {
  ops::Image result = own;
  std::vector<uint8_t> pixels = own.pixels;
  pixels.insert(pixels.end(), other.pixels.begin(), other.pixels.end());
  std::vector<float> mixed(result.pixels.size());
  int64_t index[] = {0, 1};
  ops::BatchAssemblyParams as_they_are[2];
  float scale[] = {1, 1, 1}, offset[] = {0, 0, 0};
  RETORT_RETURN_IF_ERROR(ops::MixedBatchAssembly(
      Buffer<uint8_t, 4>(pixels.data(), kChannels, result.width, result.height, 2), Buffer<int64_t, 2>(index, 2, 1),
      Buffer<int32_t, 3>(&as_they_are[0].dy, 7, 2, 1), Buffer<float, 1>(&mix.lambda, 1),
      Buffer<int32_t, 2>(&mix.box.top, 4, 1), Buffer<float, 1>(scale, kChannels), Buffer<float, 1>(offset, kChannels),
      ops::Border::kZero, Planes(mixed.data(), result)));
  std::transform(mixed.begin(), mixed.end(), result.pixels.begin(),
                 [](float pixel) { return static_cast<uint8_t>(std::lrint(pixel)); });
  return result;
}

json Describe(const ops::Box& box) {
  return {{"top", box.top}, {"left", box.left}, {"bottom", box.bottom}, {"right", box.right}};
}

json Describe(const data::AugmentPolicy& policy, const data::AugmentPolicy::Drawn& drawn) {
  json chains = json::array();
  for (const std::vector<data::AugmentChoice>& chain : drawn.chains) {
    json steps = json::array();
    for (const data::AugmentChoice& choice : chain) {
      steps.push_back({{"op", std::string(data::Name(choice.op))}, {"argument", choice.argument}});
    }
    chains.push_back(std::move(steps));
  }
  json result = {{"chains", std::move(chains)}};
  if (policy.mixes()) result["weights"] = drawn.weights;
  return result;
}

class StepsViews final : public Views {
 public:
  StepsViews(data::ViewPlan plan, Input input, absl::optional<Input> partner)
      : plan_(std::move(plan)), input_(std::move(input)), partner_(std::move(partner)) {}

  absl::StatusOr<ops::Image> Make(int64_t view) const override {
    RETORT_ASSIGN_OR_RETURN(ops::Image own, MakeOne(input_, view));
    if (plan_.mix() == nullptr) return own;
    RETORT_ASSIGN_OR_RETURN(const ops::Image other, MakeOne(*partner_, view));
    return Mix(own, other, DrawMix(view));
  }

  json Params(int64_t view) const override {
    json result = ParamsOfOne(input_, view);
    if (plan_.mix() == nullptr) return result;
    const data::MixPlan::Mix mix = DrawMix(view);
    result["mix"] = {{"lambda", mix.lambda}, {"box", Describe(mix.box)}, {"label", mix.label}};
    result["partner"] = ParamsOfOne(*partner_, view);
    return result;
  }

 private:
  // Of a view.
  data::ViewPlan::Size Size() const { return plan_.SizeOf({input_.image.height, input_.image.width}); }

  data::MixPlan::Mix DrawMix(int64_t view) const {
    return plan_.mix()->Draw(input_.index, view, Size().height, Size().width);
  }

  ops::BatchAssemblyParams DrawCrop(const Input& input, int64_t view) const {
    return plan_.augment()->Draw(input.index, view, input.image.height, input.image.width);
  }

  ops::CropResizeParams DrawBox(const Input& input, int64_t view) const {
    return plan_.crop()->Draw(input.index, view, input.image.height, input.image.width);
  }

  // A view before it is mixed.
  absl::StatusOr<ops::Image> MakeOne(const Input& input, int64_t view) const {
    ops::Image result = Black(static_cast<int>(Size().height), static_cast<int>(Size().width));
    ops::Box erase;
    if (plan_.crop() == nullptr) {
      ops::BatchAssemblyParams crop = DrawCrop(input, view);
      std::swap(crop.erase, erase);
      int64_t first = 0;
      RETORT_RETURN_IF_ERROR(ops::CropBatch(View(input.image).embedded(3), Buffer<int64_t, 1>(&first, 1),
                                            Buffer<int32_t, 2>(&crop.dy, 7, 1), plan_.augment()->border(),
                                            View(result).embedded(3)));
    } else {
      ops::CropResizeParams box = DrawBox(input, view);
      erase = ErasedBox(box);
      box.erase_height = box.erase_width = 0;
      Buffer<uint8_t, 3> source = View(input.image);
      halide_buffer_t* images[] = {source};
      RETORT_RETURN_IF_ERROR(ops::CropResize(images, {&box, 1}, plan_.crop()->filter(), nullptr, nullptr, nullptr,
                                             Planes(result.pixels.data(), result)));
    }
    for (const data::AugmentPolicy& policy : plan_.policies()) {
      RETORT_RETURN_IF_ERROR(data::ApplyPolicy(policy, plan_.seed(), {{input.index, view}}, result.height, result.width,
                                               kChannels, result.pixels.data()));
    }
    Erase(erase, &result);
    return result;
  }

  json ParamsOfOne(const Input& input, int64_t view) const {
    json result;
    ops::Box erase;
    if (plan_.crop() == nullptr) {
      const ops::BatchAssemblyParams drawn = DrawCrop(input, view);
      erase = drawn.erase;
      result = {{"crop", {{"dy", drawn.dy}, {"dx", drawn.dx}}}, {"flip", drawn.flip != 0}};
    } else {
      const ops::CropResizeParams drawn = DrawBox(input, view);
      erase = ErasedBox(drawn);
      result = {{"box", {{"top", drawn.top}, {"left", drawn.left}, {"height", drawn.height}, {"width", drawn.width}}},
                {"resized", {{"height", drawn.resized_height}, {"width", drawn.resized_width}}},
                {"window", {{"top", drawn.window_top}, {"left", drawn.window_left}}},
                {"flip", drawn.flip != 0}};
    }
    for (const data::AugmentPolicy& policy : plan_.policies()) {
      result["policies"].push_back(
          Describe(policy, policy.Draw(plan_.seed(), input.index, view, Size().height, Size().width)));
    }
    if (erase.bottom > erase.top) result["erase"] = Describe(erase);
    return result;
  }

  data::ViewPlan plan_;
  Input input_;
  absl::optional<Input> partner_;  // of the input's size; where the plan mixes
};

}  // namespace

absl::StatusOr<std::unique_ptr<Views>> MakeViews(const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps,
                                                 uint64_t seed, Input input, absl::optional<Input> partner) {
  RETORT_ASSIGN_OR_RETURN(data::ViewPlan plan, data::ViewPlan::Create(steps, seed));
  if (plan.mix() != nullptr && !partner.has_value()) {
    return absl::InvalidArgumentError("mixup and cut_mix mix an image with another; name it with --partner");
  }
  if (plan.mix() == nullptr && partner.has_value()) {
    return absl::InvalidArgumentError(
        "no step mixes the image with --partner; leave it out, or end the steps with step { mixup {} } or "
        "step { cut_mix {} }");
  }
  if (partner.has_value() &&
      (partner->image.height != input.image.height || partner->image.width != input.image.width)) {
    return absl::InvalidArgumentError(absl::StrCat("the image has ", input.image.height, " x ", input.image.width,
                                                   " pixels, but --partner has ", partner->image.height, " x ",
                                                   partner->image.width, "; give two of one size"));
  }
  return std::make_unique<StepsViews>(std::move(plan), std::move(input), std::move(partner));
}

ops::Image ContactSheet(absl::Span<const ops::Image> images) {
  constexpr int kGap = 2;
  if (images.empty()) return {};
  const int height = images[0].height, width = images[0].width, count = static_cast<int>(images.size());
  const int columns = static_cast<int>(std::ceil(std::sqrt(count))), rows = (count + columns - 1) / columns;
  ops::Image sheet = Black(rows * (height + kGap) - kGap, columns * (width + kGap) - kGap);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (int i = 0; i < count; ++i) {
    const int top = i / columns * (height + kGap), left = i % columns * (width + kGap);
    for (int y = 0; y < height; ++y) {
      const uint8_t* row = &images[static_cast<size_t>(i)].pixels[static_cast<size_t>(y) * width * kChannels];
      std::copy_n(row, width * kChannels,
                  &sheet.pixels[(static_cast<size_t>(top + y) * sheet.width + left) * kChannels]);
    }
  }
  return sheet;
}

}  // namespace retort::tools
