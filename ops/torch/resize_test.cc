#include "retort/ops/torch/resize.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/full_like.h"
#include "ATen/ops/rand.h"
#include "ATen/ops/randint.h"
#include "ATen/ops/tensor.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/resize/crop_resize_params.h"
#include "retort/ops/resize/resample_weights.h"

namespace retort::ops::torch {
namespace {

using ::testing::HasSubstr;

constexpr int kHeight = 6, kWidth = 10;

// Pixels [...] of a dimension of 2n, averaged by pairs as 22 bits behind the point round it: half away from zero.
at::Tensor Halved(const at::Tensor& pixels, int64_t dim) {
  const int64_t end = pixels.size(dim);
  return (pixels.slice(dim, 0, end, 2) + pixels.slice(dim, 1, end, 2) + 1).div(2, "floor");
}

// A box filter that halves both sides, x first; an oracle for whole images.
at::Tensor Half(const at::Tensor& image) { return Halved(Halved(image.to(at::kInt), 1), 0).to(at::kByte); }

class ResizeTensorTest : public ::testing::TestWithParam<at::DeviceType> {};

TEST_P(ResizeTensorTest, AveragesWindowsWhateverTheStrides) {
  const at::DeviceType device = GetParam();
  if (device == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  at::manual_seed(5);
  const at::Tensor wide = at::randint(256, {12, 40, 3}, at::kByte).to(device);
  const at::TensorOptions options = at::TensorOptions(device).dtype(at::kByte);
  const at::Tensor planes = at::randint(256, {3, 12, 40}, at::kByte).to(device),
                   more = at::randint(256, {12, 40, 5}, at::kByte).to(device);
  for (const at::Tensor& image :
       {wide, wide.slice(1, 4, 34), wide.slice(0, 0, 12, 3), wide.slice(0, 0, 2), wide.transpose(0, 1),
        planes.permute({1, 2, 0}), more.slice(2, 1, 4), more.slice(2, 3, 4).expand({12, 40, 3})}) {
    const int64_t height = image.size(0) / 2, width = image.size(1) / 2;
    for (const at::Tensor& output :
         {at::empty({height, width, 3}, options), at::empty({3, width, height}, options).permute({2, 1, 0}),
          at::empty({height, 2 * width, 5}, options).slice(1, 1, {}, 2).slice(2, 1, 4)}) {
      ASSERT_EQ(Resize(image, Filter::kBox, output), absl::OkStatus());
      EXPECT_TRUE(at::equal(output.cpu(), Half(image.cpu())));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ResizeTensorTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& instance) { return c10::DeviceTypeName(instance.param); });

TEST(ResizeTensorBadCallTest, RefusesOtherShapes) {
  const at::Tensor image = at::full({4, 6, 3}, 1, at::kByte), output = at::full({2, 3, 3}, 7, at::kByte);
  const auto message = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message(Resize({}, Filter::kBox, output)), HasSubstr("tensor image is undefined"));
  EXPECT_THAT(message(Resize(image, Filter::kBox, {})), HasSubstr("tensor output is undefined"));
  EXPECT_THAT(message(Resize(image[0], Filter::kBox, output)), HasSubstr("image has 2 dimensions of u8"));
  EXPECT_THAT(message(Resize(image.to(at::kFloat), Filter::kBox, output)), HasSubstr("image has 3 dimensions of f32"));
  EXPECT_THAT(message(Resize(image.slice(1, 0, 1).expand({4, 6, 3}), Filter::kBox, output)),
              HasSubstr("6 pixels in a row with stride 0"));
  EXPECT_THAT(message(Resize(image, Filter::kBox, output.slice(2, 0, 2))), HasSubstr("has 3 channels; give 2"));
  EXPECT_THAT(message(Resize(image, Filter::kBox, output.slice(0, 0, 0))), HasSubstr("output is of height 0"));
  EXPECT_TRUE(at::equal(output, at::full_like(output, 7)));
}

struct Inputs {
  explicit Inputs(int64_t batch, at::ScalarType type = at::kFloat) {
    at::manual_seed(31);
    // Rows of the images, and of the residents, lie apart.
    images = at::randint(256, {5, 26, 50, 3}, at::kByte).slice(2, 3, 45);
    index = at::randint(5, {batch}, at::kLong);
    if (type != at::kByte) {
      scale = at::rand({3});
      offset = at::rand({3});
      erased = at::rand({3});
    }
    for (int b = 0; b < static_cast<int>(batch); ++b) {
      // Boxes of twice what they are resized to.
      CropResizeParams view;
      view.window_top = b % 3;
      view.window_left = b % 4;
      view.resized_height = kHeight + view.window_top + b % 2;
      view.resized_width = kWidth + view.window_left + b % 3;
      view.height = 2 * view.resized_height;
      view.width = 2 * view.resized_width;
      view.top = b % 5;
      view.left = b % 7;
      view.flip = b % 2;
      if (b % 3 == 1 && type != at::kByte) {
        view.erase_top = 1;
        view.erase_left = 2;
        view.erase_height = 3;
        view.erase_width = 4 + b % 4;
      }
      params.push_back(view);
    }
  }

  absl::Status List(const at::Tensor& output) const {
    std::vector<at::Tensor> list;
    for (int64_t b = 0; b < index.size(0); ++b) {
      // Each of its own size: what is below and right of the box is cut off.
      const CropResizeParams& view = params[static_cast<size_t>(b)];
      list.push_back(
          images[index[b].item<int64_t>()].slice(0, 0, view.top + view.height).slice(1, 0, view.left + view.width));
    }
    return CropResize(list, params, Filter::kBox, scale, offset, erased, output);
  }

  absl::Status Resident(const at::Tensor& output) const {
    return CropResizeResident(images, index, params, Filter::kBox, scale, offset, erased, output);
  }

  Inputs To(at::DeviceType device) const {
    Inputs moved = *this;
    for (at::Tensor* tensor : {&moved.images, &moved.index, &moved.scale, &moved.offset, &moved.erased}) {
      if (tensor->defined()) *tensor = tensor->to(device);
    }
    return moved;
  }

  // [B,C,H,W] of f32, or of pixels.
  at::Tensor Expected() const {
    const at::Tensor output = at::empty({index.size(0), 3, kHeight, kWidth}, scale.defined() ? at::kFloat : at::kByte);
    for (int64_t b = 0; b < index.size(0); ++b) {
      const CropResizeParams& v = params[static_cast<size_t>(b)];
      const at::Tensor box = images[index[b].item<int64_t>()].slice(0, v.top, v.top + v.height);
      at::Tensor view = Half(box.slice(1, v.left, v.left + v.width))
                            .slice(0, v.window_top, v.window_top + kHeight)
                            .slice(1, v.window_left, v.window_left + kWidth);
      if (v.flip == 1) view = view.flip(1);
      if (scale.defined()) {
        view = view.mul(scale).add(offset);
        view.slice(0, v.erase_top, v.erase_top + v.erase_height)
            .slice(1, v.erase_left, v.erase_left + v.erase_width)
            .copy_(erased.expand({v.erase_height, v.erase_width, 3}));
      }
      output[b].copy_(view.permute({2, 0, 1}));
    }
    return output;
  }

  at::Tensor images, index, scale, offset, erased;
  std::vector<CropResizeParams> params;
};

struct OutputLayout {
  std::string name;
  at::Tensor (*make)(int64_t batch, at::TensorOptions options);
};

class CropResizeTensorTest : public ::testing::TestWithParam<std::tuple<at::ScalarType, OutputLayout, at::DeviceType>> {
};

TEST_P(CropResizeTensorTest, EqualsTheOracle) {
  const auto& [type, layout, device] = GetParam();
  if (device == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  for (const int64_t batch : {0, 1, 13}) {
    const Inputs inputs(batch, type);
    const at::Tensor expected = inputs.Expected().to(type);
    const at::Tensor resident = layout.make(batch, at::TensorOptions(device).dtype(type));
    ASSERT_EQ(inputs.To(device).Resident(resident), absl::OkStatus());
    EXPECT_TRUE(at::equal(resident.cpu(), expected)) << "residents, batch " << batch;
    const at::Tensor list = layout.make(batch, at::TensorOptions(device).dtype(type));
    ASSERT_EQ(inputs.To(device).List(list), absl::OkStatus());
    EXPECT_TRUE(at::equal(list.cpu(), expected)) << "list, batch " << batch;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Outputs, CropResizeTensorTest,
    ::testing::Combine(
        ::testing::Values(at::kFloat, at::kHalf, at::kBFloat16, at::kByte),
        ::testing::Values(OutputLayout{"Contiguous",
                                       [](int64_t batch, at::TensorOptions options) {
                                         return at::empty({batch, 3, kHeight, kWidth}, options);
                                       }},
                          OutputLayout{
                              "ChannelsLast",
                              [](int64_t batch, at::TensorOptions options) {
                                return at::empty({batch, 3, kHeight, kWidth}, options, at::MemoryFormat::ChannelsLast);
                              }},
                          OutputLayout{
                              "Slice",
                              [](int64_t batch, at::TensorOptions options) {
                                return at::empty({batch, 2, 5, kHeight, 2 * kWidth + 3}, options)
                                    .select(1, 1)
                                    .slice(1, 1, 4)
                                    .slice(3, 3, 2 * kWidth + 3, 2);
                              }}),
        ::testing::Values(at::kCPU, at::kCUDA)),
    [](const auto& instance) {
      return std::string(c10::toString(std::get<0>(instance.param))) + std::get<1>(instance.param).name +
             c10::DeviceTypeName(std::get<2>(instance.param));
    });

class CropResizeStridesTest : public ::testing::TestWithParam<at::DeviceType> {};

TEST_P(CropResizeStridesTest, ReadsImagesAsTheyLie) {
  if (GetParam() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  const Inputs dense(6);
  const at::Tensor expected = dense.Expected();
  const at::Tensor planes = dense.images.permute({0, 3, 1, 2}).contiguous(),
                   more = at::full({5, 26, 42, 5}, 9, at::kByte);
  more.slice(3, 1, 4).copy_(dense.images);
  Inputs planar = dense.To(GetParam()), some = dense.To(GetParam());
  planar.images = planes.to(GetParam()).permute({0, 2, 3, 1});
  some.images = more.to(GetParam()).slice(3, 1, 4);
  for (const Inputs& inputs : {planar, some}) {
    const at::Tensor resident = at::empty_like(expected, GetParam()), list = at::empty_like(resident);
    ASSERT_EQ(inputs.Resident(resident), absl::OkStatus());
    EXPECT_TRUE(at::equal(resident.cpu(), expected));
    ASSERT_EQ(inputs.List(list), absl::OkStatus());
    EXPECT_TRUE(at::equal(list.cpu(), expected));
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, CropResizeStridesTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& instance) { return c10::DeviceTypeName(instance.param); });

struct BadCall {
  std::string name;
  void (*spoil)(Inputs& inputs, at::Tensor& output);
  absl::StatusCode code;
  std::string message;
};

class CropResizeBadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(CropResizeBadCallTest, IsRefusedAndLeavesTheOutputAlone) {
  at::Tensor output = at::full({4, 3, kHeight, kWidth}, 5.0);
  Inputs inputs(4);
  GetParam().spoil(inputs, output);
  const absl::Status status = inputs.Resident(output);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  if (output.defined()) {
    EXPECT_TRUE(at::equal(output, at::full_like(output, 5.0)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Calls, CropResizeBadCallTest,
    ::testing::Values(BadCall{"UndefinedImages", [](Inputs& i, at::Tensor&) { i.images.reset(); },
                              absl::StatusCode::kInvalidArgument, "tensor images is undefined"},
                      BadCall{"ImagesNowhere", [](Inputs& i, at::Tensor&) { i.images = i.images.to(at::kMeta); },
                absl::StatusCode::kInvalidArgument, "tensor images is dense on meta"},
        BadCall{"UndefinedIndex", [](Inputs& i, at::Tensor&) { i.index.reset(); },
                              absl::StatusCode::kInvalidArgument, "tensor index is undefined"},
                      BadCall{"UndefinedOutput", [](Inputs&, at::Tensor& output) { output.reset(); },
                              absl::StatusCode::kInvalidArgument, "tensor output is undefined"},
                      BadCall{"UndefinedOffset", [](Inputs& i, at::Tensor&) { i.offset.reset(); },
                              absl::StatusCode::kInvalidArgument, "offset"},
                      BadCall{"HalfPrecisionScale", [](Inputs& i, at::Tensor&) { i.scale = i.scale.to(at::kHalf); },
                              absl::StatusCode::kInvalidArgument, "scale has 1 dimensions of f16; give 1 of f32"},
                      BadCall{"ImagesOfThreeDimensions", [](Inputs& i, at::Tensor&) { i.images = i.images[0]; },
                              absl::StatusCode::kInvalidArgument, "images has 3 dimensions of u8"},
                      BadCall{"OutputOfThreeDimensions", [](Inputs&, at::Tensor& output) { output = output[0]; },
                              absl::StatusCode::kInvalidArgument, "output has 3 dimensions of f32"},
                      BadCall{"ImagesOfOneColumn",
                              [](Inputs& i, at::Tensor&) {
                                i.images = i.images.slice(2, 0, 1).expand({5, 26, 42, 3});
                              },
                              absl::StatusCode::kInvalidArgument, "images has 42 pixels in a row with stride 0"},
                      BadCall{"IndexBeyondTheEnd", [](Inputs& i, at::Tensor&) { i.index.fill_(5); },
                              absl::StatusCode::kOutOfRange, "index[0] = 5, but images has 5"},
                      BadCall{"TooFewParams", [](Inputs& i, at::Tensor&) { i.params.pop_back(); },
                              absl::StatusCode::kInvalidArgument, "there are 3 params; give 4"},
                      BadCall{"BoxOutsideTheImage", [](Inputs& i, at::Tensor&) { i.params[2].left = 40; },
                              absl::StatusCode::kInvalidArgument, "params[2]: the box's columns"},
                      BadCall{"ExpandedOutput",
                              [](Inputs&, at::Tensor& output) {
                                output = output.slice(0, 0, 1).expand({4, 3, kHeight, kWidth});
                              },
                              absl::StatusCode::kInvalidArgument, "output has elements that share memory"},
                      BadCall{"ErasedPixels", [](Inputs&, at::Tensor& output) { output = output.to(at::kByte); },
                              absl::StatusCode::kInvalidArgument,
                              "params[1] erases 3x5, but erasing is for normalised outputs"},
                      BadCall{"ScaledPixels",
                              [](Inputs& i, at::Tensor& output) {
                                output = output.to(at::kByte);
                                i.params[1].erase_height = 0;
                              },
                              absl::StatusCode::kInvalidArgument,
                              "scale is there, but pixels (u8) are not normalised"}),
    [](const auto& instance) { return instance.param.name; });

TEST(CropResizeListTest, NamesTheTensor) {
  const Inputs inputs(2);
  const at::Tensor output = at::full({2, 3, kHeight, kWidth}, 5.0);
  const auto message = [&](const std::vector<at::Tensor>& images) {
    const absl::Status status =
        CropResize(images, inputs.params, Filter::kBox, inputs.scale, inputs.offset, inputs.erased, output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const at::Tensor image = inputs.images[0];
  EXPECT_THAT(message({image}), HasSubstr("there are 1 images and 2 params; give 2 of each"));
  EXPECT_THAT(message({image, {}}), HasSubstr("tensor images[1] is undefined"));
  EXPECT_THAT(message({image, image.to(at::kFloat)}), HasSubstr("images[1] has 3 dimensions of f32"));
  EXPECT_THAT(message({image, image.slice(1, 0, 1).expand({26, 42, 3})}),
              HasSubstr("images[1] has 42 pixels in a row with stride 0"));
  EXPECT_TRUE(at::equal(output, at::full_like(output, 5.0)));
}

}  // namespace
}  // namespace retort::ops::torch
