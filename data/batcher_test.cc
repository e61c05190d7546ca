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

#include "ATen/TensorOperators.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "HalideBuffer.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"
#include "retort/data/policies/augment_choice.h"
#include "retort/ops/augment/augment_oracle.h"
#include "retort/ops/resize/resize.h"

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

ViewPlan CropFlipAndCutout() {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_crop()->set_pad(3);
  steps.Add()->mutable_flip();
  steps.Add()->mutable_cutout()->set_size(4);
  return ViewPlan::Create(steps, 41).value();
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
  const ViewPlan plan = CropFlipAndCutout();
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
      const ops::BatchAssemblyParams draw = plan.augment()->Draw(image, views[static_cast<size_t>(v)], kHeight, kWidth);
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
  EXPECT_THAT(batch.view.sizes(), ElementsAre(2, 3));
  EXPECT_THAT(values(batch.view), ElementsAre(6, 6, 6, 1, 1, 1));
}

TEST_F(BatcherTest, GivesEachImageItsOwnView) {
  const std::vector<int64_t> index = {4, 9, 4};
  const at::Tensor view = at::tensor({6, 1, 2, 0, 3, 6}, at::kLong).view({2, 3});
  const Batch batch = batcher_.AssembleEach(index, view).value();
  EXPECT_TRUE(batch.view.equal(view));
  for (int64_t v = 0; v < 2; ++v) {
    for (int64_t b = 0; b < 3; ++b) {
      const Batch alone = Assemble({index[static_cast<size_t>(b)]}, {view[v][b].item<int64_t>()});
      EXPECT_TRUE(batch.images[v][b].equal(alone.images[0][0])) << v << " " << b;
    }
  }
  for (const at::Tensor& bad :
       {view.to(at::kInt), view.flatten(), view.t(), view.t().contiguous(), view.slice(0, 0, 0)}) {
    const absl::Status status = batcher_.AssembleEach(index, bad).status();
    EXPECT_EQ(status.ok(), bad.numel() == 0) << bad;
    if (status.ok()) continue;
    EXPECT_THAT(std::string(status.message()), HasSubstr("permitted is contiguous i64 [V,3]"));
  }
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
  EXPECT_FALSE(Assemble({1, 2}, {0}).lambda.defined());
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

ViewPlan Plan(const std::vector<std::string>& texts, uint64_t seed,
              MixPlan::Partners partners = MixPlan::Partners::kOfBatch) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  for (const std::string& text : texts) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, steps.Add())) << text;
  }
  return ViewPlan::Create(steps, seed, partners).value();
}

// What the plan's policies make of an image of bytes.
std::vector<uint8_t> AfterPolicies(const ViewPlan& plan, int64_t image, int64_t view, int channels,
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
  const ViewPlan plan =
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
      const ops::BatchAssemblyParams draw = plan.augment()->Draw(image, view, kHeight, kWidth);
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
    const ViewPlan plan = Plan(steps, 3);
    const Batcher batcher = Batcher::Create(&dataset, plan, Statistics(3), Batcher::Layout::kContiguous).value();
    const Batch batch = batcher.Assemble({4, 8, 1}, {0, 6}).value();
    int erased = 0;
    for (const auto& [v, view] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {1, 6}}) {
      for (const auto& [b, image] : std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {1, 8}, {2, 1}}) {
        const ops::BatchAssemblyParams draw = plan.augment()->Draw(image, view, kHeight, kWidth);
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

// Views of their own size, resized by the op for single images; values then as the formula says.
double ExpectedSized(const Dataset& dataset, const std::vector<uint8_t>& pixels, const ops::CropResizeParams& draw,
                     int64_t c, int64_t h, int64_t w, int64_t size) {
  if (h >= draw.erase_top && h < draw.erase_top + draw.erase_height && w >= draw.erase_left &&
      w < draw.erase_left + draw.erase_width) {
    return 0;
  }
  const ChannelStatistics statistics = Statistics(dataset.channels);
  const auto channel = static_cast<size_t>(c);
  return (pixels[static_cast<size_t>((h * size + w) * dataset.channels + c)] / 255.0 - statistics.mean[channel]) /
         statistics.std[channel];
}

// [H,W,C] of one sized view: its box is cut out and resized with ops::Resize, which a test against Pillow holds, then
// windowed and mirrored in plain loops.
std::vector<uint8_t> SizedPixels(const Dataset& dataset, const ops::CropResizeParams& draw, ops::Filter filter,
                                 int64_t image, int64_t size) {
  const auto c = static_cast<int>(dataset.channels);
  const auto at = [](int64_t y, int64_t x, int64_t channel, int64_t width, int64_t channels) {
    return static_cast<size_t>((y * width + x) * channels + channel);
  };
  const uint8_t* const whole = dataset.images.data() + image * dataset.height * dataset.width * dataset.channels;
  std::vector<uint8_t> box(static_cast<size_t>(draw.height) * draw.width * c);
  for (int y = 0; y < draw.height; ++y) {
    for (int x = 0; x < draw.width; ++x) {
      for (int k = 0; k < c; ++k)
        box[at(y, x, k, draw.width, c)] = whole[at(draw.top + y, draw.left + x, k, dataset.width, c)];
    }
  }
  std::vector<uint8_t> resized(static_cast<size_t>(draw.resized_height) * draw.resized_width * c);
  using ::Halide::Runtime::Buffer;
  Buffer<uint8_t, 3> source(box.data(), c, draw.width, draw.height),
      target(resized.data(), c, draw.resized_width, draw.resized_height);
  EXPECT_TRUE(ops::Resize(source, filter, target).ok());
  std::vector<uint8_t> view(static_cast<size_t>(size * size * c));
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const int64_t from = draw.window_left + (draw.flip != 0 ? size - 1 - x : x);
      for (int k = 0; k < c; ++k)
        view[at(y, x, k, size, c)] = resized[at(draw.window_top + y, from, k, draw.resized_width, c)];
    }
  }
  return view;
}

TEST(BatcherSizedTest, ViewsHaveTheirOwnSize) {
  constexpr int64_t kSide = 24;
  for (const auto layout : {Batcher::Layout::kContiguous, Batcher::Layout::kChannelsLast}) {
    for (const std::vector<std::string>& steps :
         {std::vector<std::string>{"random_resized_crop { size: 24 }", "flip {}", "random_erasing {}"},
          {"resize { size: 30 filter: BICUBIC }", "center_crop { size: 24 }", "flip {}"},
          // Through pixels: the policy leaves them.
          {"random_resized_crop { size: 24 }", "flip {}", "color_jitter { brightness { min: 1 max: 1 } }",
           "random_erasing {}"}}) {
      const Dataset dataset = MakeImages(3);
      const ViewPlan plan = Plan(steps, 3);
      const Batcher batcher = Batcher::Create(&dataset, plan, Statistics(3), layout).value();
      EXPECT_EQ(batcher.height(), kSide);
      const Batch batch = batcher.Assemble({4, 8, 1}, {0, 6}).value();
      ASSERT_THAT(batch.images.sizes(), ElementsAre(2, 3, 3, kSide, kSide));
      EXPECT_TRUE(batch.images[1].is_contiguous(
          layout == Batcher::Layout::kChannelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
      for (const auto& [v, view] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {1, 6}}) {
        for (const auto& [b, image] : std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {1, 8}, {2, 1}}) {
          const ops::CropResizeParams draw = plan.crop()->Draw(image, view, kHeight, kWidth);
          const std::vector<uint8_t> pixels = SizedPixels(dataset, draw, plan.crop()->filter(), image, kSide);
          const at::Tensor x = batch.images[v][b].contiguous();
          for (int64_t c = 0; c < 3; ++c) {
            for (int64_t h = 0; h < kSide; ++h) {
              for (int64_t w = 0; w < kSide; ++w) {
                ASSERT_NEAR(x.const_data_ptr<float>()[(c * kSide + h) * kSide + w],
                            ExpectedSized(dataset, pixels, draw, c, h, w, kSide), 1e-6);
              }
            }
          }
        }
      }
    }
  }
}

const std::vector<std::string> kMixes = {"mixup { probability: 0.5 }", "cut_mix { probability: 0.4 }"};

// A mixed batch is that of unmixed views, mixed in plain loops.
void CheckMixed(std::vector<std::string> steps, Batcher::Layout layout, const std::vector<int64_t>& index,
                const std::vector<int64_t>& partner) {
  const Dataset dataset = MakeImages(3);
  const Batcher plain = Batcher::Create(&dataset, Plan(steps, 3), Statistics(3), layout).value();
  steps.insert(steps.end(), kMixes.begin(), kMixes.end());
  const ViewPlan plan = Plan(steps, 3);
  const Batcher mixing = Batcher::Create(&dataset, plan, Statistics(3), layout).value();
  const std::vector<int64_t> views = {2, 7};
  const Batch batch = mixing.Assemble(index, views).value(), own = plain.Assemble(index, views).value();
  ASSERT_TRUE(batch.images.sizes() == own.images.sizes());
  ASSERT_FALSE(own.lambda.defined());
  const auto n = static_cast<int64_t>(index.size()), height = batch.images.size(3), width = batch.images.size(4);
  ASSERT_THAT(batch.lambda.sizes(), ElementsAre(2, n));
  double greatest_error = 0;
  for (int64_t v = 0; v < 2; ++v) {
    for (int64_t b = 0; b < n; ++b) {
      const int64_t other = partner[static_cast<size_t>(b)];
      EXPECT_EQ(batch.partner[b].item<int64_t>(), other);
      EXPECT_EQ(batch.partner_labels[v][b].item<int64_t>(), batch.labels[other].item<int64_t>());
      const MixPlan::Mix mix =
          plan.mix()->Draw(index[static_cast<size_t>(b)], views[static_cast<size_t>(v)], height, width);
      EXPECT_EQ(batch.lambda[v][b].item<float>(), mix.label);
      const at::Tensor x = batch.images[v][b].contiguous(), first = own.images[v][b].contiguous(),
                       second = own.images[v][other].contiguous();
      for (int64_t i = 0; i < x.numel(); ++i) {
        const int64_t h = i / width % height, w = i % width;
        const bool inside = h >= mix.box.top && h < mix.box.bottom && w >= mix.box.left && w < mix.box.right;
        const double one = first.const_data_ptr<float>()[i], two = second.const_data_ptr<float>()[i];
        const double expected = inside ? two : mix.lambda * one + (1.0 - mix.lambda) * two;
        greatest_error = std::max(greatest_error, std::abs(x.const_data_ptr<float>()[i] - expected));
      }
    }
  }
  EXPECT_LT(greatest_error, 1e-6);
}

TEST(BatcherMixingTest, MixesPartnersInEveryKindOfView) {
  const std::vector<std::vector<std::string>> kinds = {
      {},
      {"crop { pad: 2 }", "flip {}", "cutout { size: 3 }"},
      {"crop { pad: 2 }", "rand_augment {}", "random_erasing {}"},
      {"random_resized_crop { size: 12 }", "flip {}", "random_erasing {}"},
      {"random_resized_crop { size: 12 }", "rand_augment {}"}};
  for (const std::vector<std::string>& steps : kinds) {
    CheckMixed(steps, Batcher::Layout::kContiguous, {4, 8, 1, 10}, {1, 0, 3, 2});
    CheckMixed(steps, Batcher::Layout::kChannelsLast, {4, 8, 1, 10, 3}, {1, 0, 3, 2, 3});
    CheckMixed(steps, Batcher::Layout::kContiguous, {6}, {0});
  }
}

// Partners of stored views are any images of the data set: a mixed view is a function of (image, view).
TEST(BatcherMixingTest, DrawsPartnersFromTheDataset) {
  const Dataset dataset = MakeImages(3);
  const std::vector<std::vector<std::string>> kinds = {{},
                                                       {"crop { pad: 2 }", "flip {}", "cutout { size: 3 }"},
                                                       {"crop { pad: 2 }", "rand_augment {}", "random_erasing {}"},
                                                       {"random_resized_crop { size: 12 }", "flip {}"}};
  for (std::vector<std::string> steps : kinds) {
    const Batcher plain =
        Batcher::Create(&dataset, Plan(steps, 3), Statistics(3), Batcher::Layout::kContiguous).value();
    steps.insert(steps.end(), kMixes.begin(), kMixes.end());
    const ViewPlan plan = Plan(steps, 3, MixPlan::Partners::kOfDataset);
    const Batcher mixing = Batcher::Create(&dataset, plan, Statistics(3), Batcher::Layout::kContiguous).value();
    const std::vector<int64_t> index = {4, 8, 1};
    const std::vector<int64_t> views = {2, 7};
    const Batch batch = mixing.Assemble(index, views).value();
    EXPECT_FALSE(batch.partner.defined());
    const int64_t height = batch.images.size(3), width = batch.images.size(4);
    for (int64_t v = 0; v < 2; ++v) {
      for (int64_t b = 0; b < 3; ++b) {
        const int64_t image = index[static_cast<size_t>(b)], view = views[static_cast<size_t>(v)];
        const int64_t partner = plan.mix()->DrawPartner(image, view, dataset.size);
        const MixPlan::Mix mix = plan.mix()->Draw(image, view, height, width);
        EXPECT_EQ(batch.lambda[v][b].item<float>(), mix.label);
        EXPECT_EQ(batch.partner_labels[v][b].item<int64_t>(), dataset.labels[static_cast<size_t>(partner)]);
        const at::Tensor own = plain.Assemble({image, partner}, {view})->images[0].to(at::kDouble);
        at::Tensor expected = mix.lambda * own[0] + (1.0 - mix.lambda) * own[1];
        for (int64_t h = mix.box.top; h < mix.box.bottom; ++h) {
          for (int64_t w = mix.box.left; w < mix.box.right; ++w)
            expected.select(2, w).select(1, h).copy_(own[1].select(2, w).select(1, h));
        }
        EXPECT_LT((batch.images[v][b] - expected).abs().max().item<double>(), 1e-6);
        EXPECT_TRUE(batch.images[v][b].equal(mixing.Assemble({image}, {view})->images[0][0]));
      }
    }
  }
}

// A stored view is mixed anew in every epoch, and its pixels stay; what was stored mixed stays as it is.
TEST(BatcherMixingTest, MixesByANumberOfItsOwn) {
  const Dataset dataset = MakeImages(3);
  const std::vector<int64_t> index = {4, 8, 1, 2};
  const at::Tensor view = at::zeros({2, 4}, at::kLong), mix = at::tensor({5, 9}, at::kLong);
  const ViewPlan plan = Plan({"crop { pad: 2 }", "mixup {}"}, 3);
  const Batcher batcher = Batcher::Create(&dataset, plan, Statistics(3), Batcher::Layout::kContiguous).value();
  const Batcher plain =
      Batcher::Create(&dataset, Plan({"crop { pad: 2 }"}, 3), Statistics(3), Batcher::Layout::kContiguous).value();
  const Batch batch = batcher.AssembleEach(index, view, mix).value();
  const at::Tensor own = plain.Assemble(index, {0})->images[0].to(at::kDouble);
  for (int64_t v = 0; v < 2; ++v) {
    for (int64_t b = 0; b < 4; ++b) {
      const float lambda = plan.mix()->Draw(index[static_cast<size_t>(b)], v == 0 ? 5 : 9, kHeight, kWidth).lambda;
      EXPECT_EQ(batch.lambda[v][b].item<float>(), lambda);
      const at::Tensor expected = own[b] * lambda + own[b ^ 1] * (1.0 - lambda);
      EXPECT_LT((batch.images[v][b] - expected).abs().max().item<double>(), 1e-6);
    }
  }
  for (const at::Tensor& bad : {mix.to(at::kInt), mix.slice(0, 0, 1), mix.unsqueeze(0)}) {
    EXPECT_THAT(std::string(batcher.AssembleEach(index, view, bad).status().message()),
                HasSubstr("permitted is contiguous i64 [2]"));
  }
  const Batcher stored = Batcher::Create(&dataset, Plan({"mixup {}"}, 3, MixPlan::Partners::kOfDataset), Statistics(3),
                                         Batcher::Layout::kContiguous)
                             .value();
  EXPECT_TRUE(stored.AssembleEach(index, view, mix)->images.equal(stored.AssembleEach(index, view)->images));
}

TEST(BatcherMixingTest, PartnersMeetInBatchesLargerThanAChunk) {
  for (const int64_t size : {2298, 2299}) {
    std::vector<int64_t> index(static_cast<size_t>(size)), partner;
    for (int64_t b = 0; b < size; ++b) {
      index[static_cast<size_t>(b)] = b * 7 % kSize;
      partner.push_back((b ^ 1) < size ? b ^ 1 : b - 1);
    }
    CheckMixed({"color_jitter { brightness { min: 0.5 max: 1.5 } }"}, Batcher::Layout::kChannelsLast, index, partner);
  }
}

TEST(BatcherMixingTest, APairHasTheSameBytesInEveryBatch) {
  const Dataset dataset = MakeImages(3);
  std::vector<std::string> steps = {"crop {}", "trivial_augment {}"};
  steps.insert(steps.end(), kMixes.begin(), kMixes.end());
  const Batcher batcher =
      Batcher::Create(&dataset, Plan(steps, 3), Statistics(3), Batcher::Layout::kChannelsLast).value();
  const Batch all = batcher.Assemble({0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2}).value();
  const Batch some = batcher.Assemble({6, 7, 2, 3}, {2}).value();
  for (const auto& [b, image] : std::vector<std::pair<int64_t, int64_t>>{{0, 6}, {1, 7}, {2, 2}, {3, 3}}) {
    EXPECT_TRUE(some.images[0][b].equal(all.images[2][image]));
    EXPECT_TRUE(some.lambda[0][b].equal(all.lambda[2][image]));
  }
}

TEST(BatcherMixingTest, TakesEmptyBatches) {
  const Dataset dataset = MakeImages(3);
  for (const std::vector<std::string>& steps :
       {std::vector<std::string>{"mixup {}"}, {"random_resized_crop { size: 9 }", "mixup {}"}}) {
    const Batcher batcher =
        Batcher::Create(&dataset, Plan(steps, 3), Statistics(3), Batcher::Layout::kContiguous).value();
    EXPECT_THAT(batcher.Assemble({}, {0, 1})->images.sizes().slice(0, 2), ElementsAre(2, 0));
    EXPECT_THAT(batcher.Assemble({1, 2}, {})->lambda.sizes(), ElementsAre(0, 2));
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
        Batcher::Create(&dataset, ViewPlan::Create(steps, 1).value(), Statistics(3), Batcher::Layout::kContiguous);
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
