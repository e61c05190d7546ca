#include "retort/data/batcher.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_choice.h"
#include "retort/ops/augment/augment_oracle.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kSize = 11, kHeight = 6, kWidth = 19;

// Random pixels of `channels` channels; label of image i is i % 3.
Dataset MakeImages(int64_t channels) {
  std::mt19937 random(31);
  auto storage = std::make_shared<std::pair<std::vector<uint8_t>, std::vector<int64_t>>>();
  storage->first.resize(static_cast<size_t>(kSize * kHeight * kWidth * channels));
  for (uint8_t& pixel : storage->first) pixel = static_cast<uint8_t>(random());
  for (int64_t i = 0; i < kSize; ++i) storage->second.push_back(i % 3);
  Dataset dataset;
  dataset.images = storage->first;
  dataset.labels = storage->second;
  dataset.storage = storage;
  dataset.size = kSize;
  dataset.height = kHeight;
  dataset.width = kWidth;
  dataset.channels = channels;
  dataset.class_names = {"a", "b", "c"};
  return dataset;
}

AugmentPlan CropFlipAndCutout() {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_crop()->set_pad(3);
  steps.Add()->mutable_flip();
  steps.Add()->mutable_cutout()->set_size(4);
  return AugmentPlan::Create(steps, 41).value();
}

ChannelStatistics Statistics(int64_t channels) {
  ChannelStatistics statistics{{0.49, 0.48, 0.45, 0.5}, {0.25, 0.24, 0.26, 0.3}};
  statistics.mean.resize(static_cast<size_t>(channels));
  statistics.std.resize(static_cast<size_t>(channels));
  return statistics;
}

// The formula of batcher.h in float64.
double Expected(const Dataset& dataset, const ChannelStatistics& statistics, const ops::BatchAssemblyParams& draw,
                int64_t image, int64_t c, int64_t h, int64_t w) {
  if (h >= draw.erase.top && h < draw.erase.bottom && w >= draw.erase.left && w < draw.erase.right) return 0;
  const int64_t y = h + draw.dy;
  const int64_t x = (draw.flip == 1 ? dataset.width - 1 - w : w) + draw.dx;
  double pixel = 0;
  if (y >= 0 && y < dataset.height && x >= 0 && x < dataset.width) {
    pixel =
        dataset.images[static_cast<size_t>(((image * dataset.height + y) * dataset.width + x) * dataset.channels + c)];
  }
  const auto channel = static_cast<size_t>(c);
  return (pixel / 255 - statistics.mean[channel]) / statistics.std[channel];
}

struct LayoutCase {
  std::string name;
  Batcher::Layout layout;
  at::MemoryFormat format;
  int64_t channels;
};

class BatcherLayoutTest : public ::testing::TestWithParam<LayoutCase> {};

TEST_P(BatcherLayoutTest, FollowsTheFormula) {
  const Dataset dataset = MakeImages(GetParam().channels);
  const ChannelStatistics statistics = Statistics(GetParam().channels);
  const AugmentPlan plan = CropFlipAndCutout();
  const Batcher batcher = Batcher::Create(&dataset, plan, statistics, GetParam().layout).value();
  const std::vector<int64_t> index = {7, 0, 10, 7, 3};
  const std::vector<int64_t> views = {2, 0, 5};
  const Batch batch = batcher.Assemble(index, views).value();

  ASSERT_THAT(batch.images.sizes(), ElementsAre(3, 5, GetParam().channels, kHeight, kWidth));
  double greatest_error = 0;
  for (int64_t v = 0; v < 3; ++v) {
    EXPECT_TRUE(batch.images[v].is_contiguous(GetParam().format));
    const at::Tensor images = batch.images[v].contiguous();
    const auto* x = images.const_data_ptr<float>();
    for (int64_t b = 0; b < 5; ++b) {
      const int64_t image = index[static_cast<size_t>(b)];
      const ops::BatchAssemblyParams draw = plan.Draw(image, views[static_cast<size_t>(v)], kHeight, kWidth);
      for (int64_t c = 0; c < GetParam().channels; ++c) {
        for (int64_t h = 0; h < kHeight; ++h) {
          for (int64_t w = 0; w < kWidth; ++w) {
            greatest_error =
                std::max(greatest_error, std::abs(*x++ - Expected(dataset, statistics, draw, image, c, h, w)));
          }
        }
      }
    }
  }
  // f32 scale, offset, product and sum of numbers up to 2.2 / 0.24: four roundings of at most 2^-24 relative.
  EXPECT_LT(greatest_error, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, BatcherLayoutTest,
    ::testing::Values(LayoutCase{"ChannelsLast", Batcher::Layout::kChannelsLast, at::MemoryFormat::ChannelsLast, 3},
                      LayoutCase{"Contiguous", Batcher::Layout::kContiguous, at::MemoryFormat::Contiguous, 3},
                      LayoutCase{"GreyChannelsLast", Batcher::Layout::kChannelsLast, at::MemoryFormat::ChannelsLast, 1},
                      LayoutCase{"GreyContiguous", Batcher::Layout::kContiguous, at::MemoryFormat::Contiguous, 1},
                      LayoutCase{"FourChannelsLast", Batcher::Layout::kChannelsLast, at::MemoryFormat::ChannelsLast,
                                 4}),
    [](const auto& instance) { return instance.param.name; });

class BatcherTest : public ::testing::Test {
 protected:
  Batch Assemble(const std::vector<int64_t>& index, const std::vector<int64_t>& views) const {
    return batcher_.Assemble(index, views).value();
  }

  const Dataset dataset_ = MakeImages(3);
  const Batcher batcher_ =
      Batcher::Create(&dataset_, CropFlipAndCutout(), Statistics(3), Batcher::Layout::kChannelsLast).value();
};

TEST_F(BatcherTest, CarriesLabelsIndexAndViews) {
  const Batch batch = Assemble({4, 9, 4}, {6, 1});
  const auto values = [](const at::Tensor& tensor) {
    return std::vector<int64_t>(tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel());
  };
  EXPECT_THAT(values(batch.labels), ElementsAre(1, 0, 1));
  EXPECT_THAT(values(batch.index), ElementsAre(4, 9, 4));
  EXPECT_THAT(values(batch.view), ElementsAre(6, 1));
}

TEST_F(BatcherTest, GivesAnImageTheSameBytesInEveryBatch) {
  const Batch all = Assemble({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {0, 1, 2});
  for (const std::vector<int64_t>& index :
       {std::vector<int64_t>{10}, {3, 8}, {10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, {5, 5, 5}}) {
    for (const std::vector<int64_t>& views : {std::vector<int64_t>{1}, {2, 0}}) {
      const Batch batch = Assemble(index, views);
      for (size_t v = 0; v < views.size(); ++v) {
        for (size_t b = 0; b < index.size(); ++b) {
          EXPECT_TRUE(
              batch.images[static_cast<int64_t>(v)][static_cast<int64_t>(b)].equal(all.images[views[v]][index[b]]));
        }
      }
    }
  }
}

TEST_F(BatcherTest, TakesEmptyBatches) {
  EXPECT_THAT(Assemble({}, {0, 1}).images.sizes(), ElementsAre(2, 0, 3, kHeight, kWidth));
  EXPECT_THAT(Assemble({1, 2}, {}).images.sizes(), ElementsAre(0, 2, 3, kHeight, kWidth));
  EXPECT_THAT(Assemble({1, 2}, {}).labels.sizes(), ElementsAre(2));
}

struct BadBatch {
  std::string name;
  std::vector<int64_t> index;
  std::vector<int64_t> views;
  std::string message;
};

class BatcherBadBatchTest : public BatcherTest, public ::testing::WithParamInterface<BadBatch> {};

TEST_P(BatcherBadBatchTest, IsRefused) {
  const absl::Status status = batcher_.Assemble(GetParam().index, GetParam().views).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Batches, BatcherBadBatchTest,
    ::testing::Values(BadBatch{"IndexAtTheEnd", {0, 11}, {0}, "index[1] = 11; permitted are 0..10"},
                      BadBatch{"NegativeIndex", {-1}, {0}, "index[0] = -1; permitted are 0..10"},
                      BadBatch{"IndexWithoutViews", {11}, {}, "index[0] = 11"},
                      BadBatch{"NegativeView", {0}, {0, -2}, "views[1] = -2"},
                      BadBatch{"ViewBeyondTheCounter", {0}, {int64_t{1} << 32}, "permitted are 0..4294967295"}),
    [](const auto& instance) { return instance.param.name; });

struct BadStatistics {
  std::string name;
  ChannelStatistics statistics;
  std::string message;
};

class BatcherBadStatisticsTest : public ::testing::TestWithParam<BadStatistics> {};

TEST_P(BatcherBadStatisticsTest, AreRefused) {
  const Dataset dataset = MakeImages(3);
  const absl::Status status =
      Batcher::Create(&dataset, CropFlipAndCutout(), GetParam().statistics, Batcher::Layout::kContiguous).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Statistics, BatcherBadStatisticsTest,
    ::testing::Values(
        BadStatistics{"OneChannel", {{0.5}, {0.5}}, "1 means and 1 standard deviations, but images have 3 channels"},
        BadStatistics{"OneDeviationTooFew", {{0, 0, 0}, {1, 1}}, "3 means and 2 standard deviations"},
        BadStatistics{"ZeroDeviation", {{0, 0, 0}, {1, 0, 1}}, "channel 1 has mean 0 and standard deviation 0"},
        BadStatistics{
            "InfiniteMean", {{0, 0, std::numeric_limits<double>::infinity()}, {1, 1, 1}}, "channel 2 has mean inf"}),
    [](const auto& instance) { return instance.param.name; });

AugmentPlan Plan(const std::vector<std::string>& texts, uint64_t seed) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  for (const std::string& text : texts) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, steps.Add())) << text;
  }
  return AugmentPlan::Create(steps, seed).value();
}

// What the plan's policies make of an image of bytes.
std::vector<uint8_t> AfterPolicies(const AugmentPlan& plan, int64_t image, int64_t view, int channels,
                                   std::vector<uint8_t> pixels) {
  for (const AugmentPolicy& policy : plan.policies()) {
    const AugmentPolicy::Drawn drawn = policy.Draw(plan.seed(), image, view, kHeight, kWidth);
    std::vector<std::vector<uint8_t>> made;
    for (const auto& chain : drawn.chains) {
      std::vector<uint8_t>& one = made.emplace_back(pixels);
      for (const AugmentChoice& choice : chain) {
        one = ops::AugmentOracle(RecordOf(choice, kHeight, kWidth), one, kHeight, kWidth, channels);
      }
    }
    if (drawn.weights.empty()) {
      pixels = made.at(0);
      continue;
    }
    for (size_t p = 0; p < pixels.size(); ++p) {
      float sum = drawn.weights[0] * static_cast<float>(pixels[p]);
      for (size_t k = 0; k < made.size(); ++k) {
        const float product = drawn.weights[k + 1] * static_cast<float>(made[k][p]);
        sum += product;
      }
      pixels[p] = static_cast<uint8_t>(sum);
    }
  }
  return pixels;
}

TEST(BatcherPolicyTest, CropsThenAugmentsThenNormalisesThenErases) {
  const AugmentPlan plan =
      Plan({"crop { pad: 2 }", "flip {}", "auto_augment {}", "rand_augment { num_ops: 3 }", "trivial_augment {}",
            "aug_mix {}", "color_jitter { hue { min: -0.2 max: 0.2 } brightness { min: 0.6 max: 1.4 } }",
            "cutout { size: 3 }"},
           23);
  for (const int channels : {1, 3}) {
    const Dataset dataset = MakeImages(channels);
    const ChannelStatistics statistics = Statistics(channels);
    const Batcher batcher = Batcher::Create(&dataset, plan, statistics, Batcher::Layout::kChannelsLast).value();
    // More than are augmented at a time.
    std::vector<int64_t> index(800);
    for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int64_t>(i * 7 % kSize);
    const Batch batch = batcher.Assemble(index, {4, 9}).value();
    double greatest_error = 0;
    for (const auto& [v, b] :
         std::vector<std::pair<int64_t, size_t>>{{0, 0}, {0, 1}, {0, 5}, {0, 799}, {1, 3}, {1, 620}}) {
      const int64_t image = index[b], view = v == 0 ? 4 : 9;
      const ops::BatchAssemblyParams draw = plan.Draw(image, view, kHeight, kWidth);
      // Cropped bytes, by the formula without normalisation.
      ops::BatchAssemblyParams crop = draw;
      crop.erase = {};
      const ChannelStatistics none = {std::vector<double>(static_cast<size_t>(channels), 0),
                                      std::vector<double>(static_cast<size_t>(channels), 1)};
      std::vector<uint8_t> pixels;
      for (int64_t h = 0; h < kHeight; ++h) {
        for (int64_t w = 0; w < kWidth; ++w) {
          for (int64_t c = 0; c < channels; ++c) {
            pixels.push_back(static_cast<uint8_t>(std::lround(255 * Expected(dataset, none, crop, image, c, h, w))));
          }
        }
      }
      pixels = AfterPolicies(plan, image, view, channels, pixels);
      const at::Tensor x = batch.images[v][static_cast<int64_t>(b)].contiguous();
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t h = 0; h < kHeight; ++h) {
          for (int64_t w = 0; w < kWidth; ++w) {
            const bool erased =
                h >= draw.erase.top && h < draw.erase.bottom && w >= draw.erase.left && w < draw.erase.right;
            const auto channel = static_cast<size_t>(c);
            const double expected = erased ? 0
                                           : (pixels[static_cast<size_t>((h * kWidth + w) * channels + c)] / 255.0 -
                                              statistics.mean[channel]) /
                                                 statistics.std[channel];
            greatest_error = std::max(
                greatest_error,
                std::abs(static_cast<double>(x.const_data_ptr<float>()[(c * kHeight + h) * kWidth + w]) - expected));
          }
        }
      }
    }
    EXPECT_LT(greatest_error, 1e-6) << channels << " channels";
  }
}

TEST(BatcherErasingTest, ErasesTheDrawnRectangleWithAndWithoutPolicies) {
  const Dataset dataset = MakeImages(3);
  for (const std::vector<std::string>& steps :
       {std::vector<std::string>{"random_erasing { probability: 1 }"},
        std::vector<std::string>{"color_jitter { brightness { min: 1 max: 1 } }",
                                 "random_erasing { probability: 1 }"}}) {
    const AugmentPlan plan = Plan(steps, 3);
    const Batcher batcher = Batcher::Create(&dataset, plan, Statistics(3), Batcher::Layout::kContiguous).value();
    const Batch batch = batcher.Assemble({4, 8, 1}, {0, 6}).value();
    int erased = 0;
    for (const auto& [v, view] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {1, 6}}) {
      for (const auto& [b, image] : std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {1, 8}, {2, 1}}) {
        const ops::BatchAssemblyParams draw = plan.Draw(image, view, kHeight, kWidth);
        const at::Tensor x = batch.images[v][b].contiguous();
        for (int64_t c = 0; c < 3; ++c) {
          for (int64_t h = 0; h < kHeight; ++h) {
            for (int64_t w = 0; w < kWidth; ++w) {
              const double expected = Expected(dataset, Statistics(3), draw, image, c, h, w);
              erased += expected == 0 ? 1 : 0;
              ASSERT_NEAR(x.const_data_ptr<float>()[(c * kHeight + h) * kWidth + w], expected, 1e-6);
            }
          }
        }
      }
    }
    EXPECT_GT(erased, 0);
  }
}

TEST(BatcherPolicyTest, NeedsOneOrThreeChannels) {
  const Dataset dataset = MakeImages(4);
  const absl::Status status =
      Batcher::Create(&dataset, Plan({"auto_augment {}"}, 1), Statistics(4), Batcher::Layout::kContiguous).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("images have 4 channels; permitted are 1 and 3"));
}

TEST(BatcherReflectTest, NeedsImagesLargerThanThePad) {
  const Dataset dataset = MakeImages(3);
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  config::Crop* crop = steps.Add()->mutable_crop();
  crop->set_border(config::Crop::REFLECT);
  for (const bool fits : {true, false}) {
    crop->set_pad(static_cast<int32_t>(std::min(kHeight, kWidth)) - (fits ? 1 : 0));
    const absl::StatusOr<Batcher> batcher =
        Batcher::Create(&dataset, AugmentPlan::Create(steps, 1).value(), Statistics(3), Batcher::Layout::kContiguous);
    EXPECT_EQ(batcher.ok(), fits);
    if (fits) {
      EXPECT_EQ(batcher->Assemble({0, 1, 2}, {0, 1}).status(), absl::OkStatus());
    } else {
      EXPECT_THAT(std::string(batcher.status().message()),
                  HasSubstr("permitted with border REFLECT is less than that"));
    }
  }
}

}  // namespace
}  // namespace retort::data
