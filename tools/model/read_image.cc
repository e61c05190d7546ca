#include "retort/tools/model/read_image.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ATen/ops/empty.h"
#include "HalideBuffer.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/image.h"
#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resize.h"

namespace retort::tools {
namespace {

using ::Halide::Runtime::Buffer;

constexpr int kChannels = 3;
constexpr int kLongestSide = 1 << 24;  // MakeResampleWeights

absl::Status CheckPreparation(const ImagePreparation& preparation) {
  const auto positive = [](double value) { return value > 0; };
  if (preparation.mean.size() != kChannels || preparation.std.size() != kChannels ||
      !std::all_of(preparation.std.begin(), preparation.std.end(), positive)) {
    return absl::InvalidArgumentError(absl::StrCat("mean and std have ", preparation.mean.size(), " and ",
                                                   preparation.std.size(),
                                                   " numbers; an image needs 3 of each, those of std above 0"));
  }
  if (preparation.height < 1 || preparation.width < 1 ||
      preparation.resize < std::max(preparation.height, preparation.width)) {
    return absl::InvalidArgumentError(absl::StrCat("a shorter side of ", preparation.resize,
                                                   " is less than the crop of ", preparation.height, "x",
                                                   preparation.width));
  }
  return absl::OkStatus();
}

// The longer side where the shorter one is resized to `resize`.
int64_t LongerSide(int shorter, int longer, int resize) { return int64_t{resize} * longer / shorter; }

// Half a pixel is rounded to the even side, as Python's round() does.
int Middle(int outer, int inner) { return static_cast<int>(std::nearbyint((outer - inner) / 2.0)); }

}  // namespace

absl::StatusOr<at::Tensor> ReadImage(const std::string& path, const ImagePreparation& preparation) {
  RETORT_RETURN_IF_ERROR(CheckPreparation(preparation));
  RETORT_ASSIGN_OR_RETURN(const std::string bytes, data::ReadFile(path));
  absl::StatusOr<ops::Image> image = ops::DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (!image.ok()) return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));

  const bool upright = image->height >= image->width;
  const int64_t longer = upright ? LongerSide(image->width, image->height, preparation.resize)
                                 : LongerSide(image->height, image->width, preparation.resize);
  if (longer > kLongestSide) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", image->height, "x", image->width, " pixels, resized to ",
                                                   preparation.resize, ", have a side of ", longer, "; permitted are ",
                                                   kLongestSide));
  }
  ops::CropResizeParams params;
  params.height = image->height;
  params.width = image->width;
  params.resized_height = upright ? static_cast<int>(longer) : preparation.resize;
  params.resized_width = upright ? preparation.resize : static_cast<int>(longer);
  params.window_top = Middle(params.resized_height, preparation.height);
  params.window_left = Middle(params.resized_width, preparation.width);

  float scale[kChannels], offset[kChannels], erased[kChannels] = {};
  for (size_t c = 0; c < kChannels; ++c) {
    scale[c] = static_cast<float>(1 / (255 * preparation.std[c]));
    offset[c] = static_cast<float>(-preparation.mean[c] / preparation.std[c]);
  }
  const at::Tensor result = at::empty({1, kChannels, preparation.height, preparation.width});
  Buffer<uint8_t, 3> source(image->pixels.data(), kChannels, image->width, image->height);
  Buffer<float, 1> scales(scale, kChannels), offsets(offset, kChannels), erases(erased, kChannels);
  Buffer<float, 4> output(result.mutable_data_ptr<float>(), preparation.width, preparation.height, kChannels, 1);
  halide_buffer_t* images[] = {source};
  RETORT_RETURN_IF_ERROR(
      ops::CropResize(images, {&params, 1}, ops::Filter::kBilinear, scales, offsets, erases, output));
  return result;
}

}  // namespace retort::tools
