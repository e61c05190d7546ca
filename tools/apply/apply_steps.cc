#include "retort/tools/apply/apply_steps.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "HalideBuffer.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "retort/data/augment_plan.h"
#include "retort/data/crop_plan.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/policies/apply_policy.h"
#include "retort/data/policies/augment_choice.h"
#include "retort/data/policies/augment_policy.h"
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

void Erase(const ops::Box& box, ops::Image* image) {
  for (int y = std::max(box.top, 0); y < std::min(box.bottom, image->height); ++y) {
    for (int x = std::max(box.left, 0); x < std::min(box.right, image->width); ++x) {
      std::fill_n(&image->pixels[(static_cast<size_t>(y) * image->width + x) * kChannels], kChannels, uint8_t{0});
    }
  }
}

json Describe(const ops::Box& box) {
  return {{"top", box.top}, {"left", box.left}, {"bottom", box.bottom}, {"right", box.right}};
}

// Crops of the image's own size.
class AugmentSteps final : public Steps {
 public:
  explicit AugmentSteps(data::AugmentPlan plan) : plan_(std::move(plan)) {}

  absl::StatusOr<ops::Image> Apply(const ops::Image& image, int64_t index, int64_t view) const override {
    const ops::BatchAssemblyParams drawn = plan_.Draw(index, view, image.height, image.width);
    ops::BatchAssemblyParams crop = drawn;
    crop.erase = {};
    int64_t first = 0;
    ops::Image result = Black(image.height, image.width);
    const Buffer<uint8_t, 3> source = View(image), target = View(result);
    RETORT_RETURN_IF_ERROR(ops::CropBatch(source.embedded(3), Buffer<int64_t, 1>(&first, 1),
                                          Buffer<int32_t, 2>(&crop.dy, 7, 1), plan_.border(), target.embedded(3)));
    for (const data::AugmentPolicy& policy : plan_.policies()) {
      RETORT_RETURN_IF_ERROR(data::ApplyPolicy(policy, plan_.seed(), {{index, view}}, image.height, image.width,
                                               kChannels, result.pixels.data()));
    }
    Erase(drawn.erase, &result);
    return result;
  }

  json Params(const ops::Image& image, int64_t index, int64_t view) const override {
    const ops::BatchAssemblyParams drawn = plan_.Draw(index, view, image.height, image.width);
    json result = {{"crop", {{"dy", drawn.dy}, {"dx", drawn.dx}}}, {"flip", drawn.flip != 0}};
    for (const data::AugmentPolicy& policy : plan_.policies()) {
      const data::AugmentPolicy::Drawn ops = policy.Draw(plan_.seed(), index, view, image.height, image.width);
      json chains = json::array();
      for (const std::vector<data::AugmentChoice>& chain : ops.chains) {
        json steps = json::array();
        for (const data::AugmentChoice& choice : chain) {
          steps.push_back({{"op", std::string(data::Name(choice.op))}, {"argument", choice.argument}});
        }
        chains.push_back(std::move(steps));
      }
      result["policies"].push_back({{"chains", std::move(chains)}});
      if (policy.mixes()) result["policies"].back()["weights"] = ops.weights;
    }
    if (drawn.erase.bottom > drawn.erase.top) result["erase"] = Describe(drawn.erase);
    return result;
  }

 private:
  data::AugmentPlan plan_;
};

// Square views of any image.
class CropSteps final : public Steps {
 public:
  explicit CropSteps(data::CropPlan plan) : plan_(std::move(plan)) {}

  absl::StatusOr<ops::Image> Apply(const ops::Image& image, int64_t index, int64_t view) const override {
    ops::CropResizeParams params = plan_.Draw(index, view, image.height, image.width);
    const ops::Box erase = ErasedBox(params);
    params.erase_height = params.erase_width = 0;
    ops::Image result = Black(plan_.size(), plan_.size());
    Buffer<uint8_t, 3> source = View(image);
    const int row = result.width * kChannels;
    const halide_dimension_t nchw[] = {
        {0, result.width, kChannels}, {0, result.height, row}, {0, kChannels, 1}, {0, 1, result.height * row}};
    Buffer<uint8_t, 4> batch(result.pixels.data(), 4, nchw);
    halide_buffer_t* images[] = {source};
    RETORT_RETURN_IF_ERROR(ops::CropResize(images, {&params, 1}, plan_.filter(), nullptr, nullptr, nullptr, batch));
    Erase(erase, &result);
    return result;
  }

  json Params(const ops::Image& image, int64_t index, int64_t view) const override {
    const ops::CropResizeParams params = plan_.Draw(index, view, image.height, image.width);
    json result = {
        {"box", {{"top", params.top}, {"left", params.left}, {"height", params.height}, {"width", params.width}}},
        {"resized", {{"height", params.resized_height}, {"width", params.resized_width}}},
        {"window", {{"top", params.window_top}, {"left", params.window_left}}},
        {"flip", params.flip != 0}};
    if (params.erase_height > 0) result["erase"] = Describe(ErasedBox(params));
    return result;
  }

 private:
  static ops::Box ErasedBox(const ops::CropResizeParams& params) {
    return {params.erase_top, params.erase_left, params.erase_top + params.erase_height,
            params.erase_left + params.erase_width};
  }

  data::CropPlan plan_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Steps>> Steps::Create(
    const google::protobuf::RepeatedPtrField<config::AugmentStep>& steps, uint64_t seed) {
  if (!steps.empty() && (steps[0].has_random_resized_crop() || steps[0].has_resize())) {
    RETORT_ASSIGN_OR_RETURN(data::CropPlan plan, data::CropPlan::Create(steps, seed));
    return std::make_unique<CropSteps>(std::move(plan));
  }
  RETORT_ASSIGN_OR_RETURN(data::AugmentPlan plan, data::AugmentPlan::Create(steps, seed));
  return std::make_unique<AugmentSteps>(std::move(plan));
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
