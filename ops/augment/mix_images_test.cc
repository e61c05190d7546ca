#include "retort/ops/augment/mix_images.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "HalideBuffer.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/ops/device.h"
#include "retort/testing/device_buffers.h"

namespace retort::ops {
namespace {

using ::Halide::Runtime::Buffer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Device::Kind;

class MixImagesTest : public ::testing::TestWithParam<Kind> {};

TEST_P(MixImagesTest, EqualsTheScalarSumByteByByte) {
  if (!testing::IsThere(GetParam())) GTEST_SKIP() << "no " << Name(GetParam()) << " device here";
  for (const int batch : {1, 9}) {
    for (const int sources : {1, 2, 4}) {
      for (const int values : {1, 17, 63, 64, 100, 3072}) {
        std::mt19937 random(5);
        Buffer<uint8_t, 3> images(values, sources, batch);
        Buffer<float, 2> weights(sources, batch);
        Buffer<uint8_t, 2> output(values, batch);
        images.for_each_value([&](uint8_t& value) { value = static_cast<uint8_t>(random()); });
        // Some sums lie beyond 255.
        weights.for_each_value([&](float& value) { value = std::uniform_real_distribution<float>(0, 1)(random); });
        std::vector<uint8_t> expected;
        for (int b = 0; b < batch; ++b) {
          for (int p = 0; p < values; ++p) {
            float sum = 0;
            for (int k = 0; k < sources; ++k) {
              const float product = weights(k, b) * static_cast<float>(images(p, k, b));
              sum += product;
            }
            expected.push_back(static_cast<uint8_t>(std::clamp(sum, 0.0f, 255.0f)));
          }
        }
        for (halide_buffer_t* buffer : {images.raw_buffer(), weights.raw_buffer(), output.raw_buffer()}) {
          testing::ToDevice(GetParam(), buffer);
        }
        ASSERT_EQ(MixImages(images, weights, output, {.kind = GetParam()}), absl::OkStatus());
        testing::ToHost(GetParam(), output);
        EXPECT_EQ(std::vector<uint8_t>(output.begin(), output.end()), expected)
            << absl::StrCat("B", batch, "K", sources, "P", values);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, MixImagesTest, ::testing::ValuesIn(testing::kDevices), testing::DeviceName);

TEST(MixImagesByHandTest, TruncatesTheSum) {
  std::vector<uint8_t> images = {10, 200, 255, 21, 100, 255}, output(3);
  std::vector<float> weights = {0.25f, 0.75f};
  ASSERT_EQ(MixImages(Buffer<uint8_t, 3>(images.data(), 3, 2, 1), Buffer<float, 2>(weights.data(), 2, 1),
                      Buffer<uint8_t, 2>(output.data(), 3, 1)),
            absl::OkStatus());
  // 2.5 + 15.75, 50 + 75, 255.
  EXPECT_THAT(output, ElementsAre(18, 125, 255));
}

TEST(MixImagesByHandTest, RefusesWhatDoesNotFit) {
  const absl::Status none = MixImages(Buffer<uint8_t, 3>(3, 0, 2), Buffer<float, 2>(0, 2), Buffer<uint8_t, 2>(3, 2));
  EXPECT_THAT(std::string(none.message()), HasSubstr("images has no image to mix"));
  const absl::Status shape = MixImages(Buffer<uint8_t, 3>(3, 2, 2), Buffer<float, 2>(3, 2), Buffer<uint8_t, 2>(3, 2));
  EXPECT_THAT(std::string(shape.message()), HasSubstr("weights has shape [2,3]; give [B,K] = [2,2]"));
  for (const float weight : {-0.25f, 1.5f, std::nanf("")}) {
    Buffer<uint8_t, 2> output(3, 2);
    output.fill(9);
    Buffer<float, 2> weights(2, 2);
    weights.fill(0.5f);
    weights(1, 0) = weight;
    const absl::Status status = MixImages(Buffer<uint8_t, 3>(3, 2, 2), weights, output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("weights[0,1] is ", weight, "; permitted are 0..1")));
    EXPECT_TRUE(output.all_equal(9));
  }
  EXPECT_EQ(MixImages(Buffer<uint8_t, 3>(3, 2, 0), Buffer<float, 2>(2, 0), Buffer<uint8_t, 2>(3, 0)), absl::OkStatus());
}

TEST(MixImagesByHandTest, RefusesMoreImagesThanAGridHas) {
  Buffer<uint8_t, 3> images(1, 1, 65536);
  Buffer<float, 2> weights(1, 65536);
  Buffer<uint8_t, 2> output(1, 65536);
  const testing::PretendedDeviceMemory pretended({images, weights, output});
  EXPECT_EQ(
      MixImages(images, weights, output, {Kind::kCuda}),
      absl::InvalidArgumentError("mix_images: 65536 images; on a GPU at most 65535 are permitted, divide the batch"));
}

}  // namespace
}  // namespace retort::ops
