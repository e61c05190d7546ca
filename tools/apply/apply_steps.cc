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

// Of an AugmentPlan or a CropPlan.
template <typename Plan>
absl::Status ApplyPolicies(const Plan& plan, int64_t index, int64_t view, ops::Image* image) {
  for (const data::AugmentPolicy& policy : plan.policies()) {
    RETORT_RETURN_IF_ERROR(data::ApplyPolicy(policy, plan.seed(), {{index, view}}, image->height, image->width,
                                             kChannels, image->pixels.data()));
  }
  return absl::OkStatus();
}

template <typename Plan>
void DescribePolicies(const Plan& plan, int64_t index, int64_t view, int height, int width, json* result) {
  for (const data::AugmentPolicy& policy : plan.policies()) {
    const data::AugmentPolicy::Drawn ops = policy.Draw(plan.seed(), index, view, height, width);
    json chains = json::array();
    for (const std::vector<data::AugmentChoice>& chain : ops.chains) {
      json steps = json::array();
      for (const data::AugmentChoice& choice : chain) {
        steps.push_back({{"op", std::string(data::Name(choice.op))}, {"argument", choice.argument}});
      }
      chains.push_back(std::move(steps));
    }
    (*result)["policies"].push_back({{"chains", std::move(chains)}});
    if (policy.mixes()) (*result)["policies"].back()["weights"] = ops.weights;
  }
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
    RETORT_RETURN_IF_ERROR(ApplyPolicies(plan_, index, view, &result));
    Erase(drawn.erase, &result);
    return result;
  }

  json Params(const ops::Image& image, int64_t index, int64_t view) const override {
    const ops::BatchAssemblyParams drawn = plan_.Draw(index, view, image.height, image.width);
    json result = {{"crop", {{"dy", drawn.dy}, {"dx", drawn.dx}}}, {"flip", drawn.flip != 0}};
    DescribePolicies(plan_, index, view, image.height, image.width, &result);
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
    RETORT_RETURN_IF_ERROR(ApplyPolicies(plan_, index, view, &result));
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
    DescribePolicies(plan_, index, view, plan_.size(), plan_.size(), &result);
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
  RETORT_ASSIGN_OR_RETURN(const data::ViewPlan plan, data::ViewPlan::Create(steps, seed));
  if (plan.mix() != nullptr) {
    return absl::InvalidArgumentError("mixup and cut_mix mix the images of a batch, and here is one; leave them out");
  }
  if (plan.crop() != nullptr) return std::make_unique<CropSteps>(*plan.crop());
  return std::make_unique<AugmentSteps>(*plan.augment());
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
