#include "retort/data/dataset.h"

#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string TestPath() {
  return ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
}

// Two training images and one test image, 1x2x3, of two classes.
DatasetSplits Tiny() {
  DatasetSplits splits;
  splits.name = "tiny";
  splits.train = MakeDataset({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255}, {1, 0}, 1, 2, 3, {"a", "b \"\u00e9\""}).value();
  splits.test = MakeDataset({9, 8, 7, 6, 5, 4}, {1}, 1, 2, 3, splits.train.class_names).value();
  return splits;
}

absl::Span<const uint8_t> Bytes(const std::vector<int64_t>& values) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(values.data()), 8 * values.size());
}

TEST(DatasetTest, RoundTrip) {
  const DatasetSplits expected = Tiny();
  ASSERT_TRUE(WriteDataset(TestPath(), expected).ok());
  const auto splits = OpenDataset(TestPath());
  ASSERT_TRUE(splits.ok()) << splits.status();
  EXPECT_EQ(splits->name, "tiny");
  for (const auto& [read, written] :
       {std::make_pair(splits->train, expected.train), std::make_pair(splits->test, expected.test)}) {
    EXPECT_EQ(read.images, written.images);
    EXPECT_EQ(read.labels, written.labels);
    EXPECT_EQ(read.size, written.size);
    EXPECT_EQ(read.height, 1);
    EXPECT_EQ(read.width, 2);
    EXPECT_EQ(read.channels, 3);
    EXPECT_EQ(read.class_names, written.class_names);
  }
}

TEST(DatasetTest, CopiesShareThePixelsAndKeepThemAlive) {
  ASSERT_TRUE(WriteDataset(TestPath(), Tiny()).ok());
  Dataset mapped = OpenDataset(TestPath()).value().train;
  Dataset owned = Tiny().train;
  const Dataset copy = owned;
  EXPECT_EQ(copy.images.data(), owned.images.data());
  owned = Dataset();
  EXPECT_THAT(copy.labels, ElementsAre(1, 0));
  EXPECT_THAT(mapped.labels, ElementsAre(1, 0));
}

TEST(DatasetTest, WhatDoesNotFitIsRefused) {
  struct Case {
    std::string name;
    std::vector<uint8_t> images;
    std::vector<int64_t> labels;
    int64_t height, width, channels;
    std::string message;
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const Case& c : std::vector<Case>{
           {"label too large", {1, 2}, {0, 2}, 1, 1, 1, "label 2 of image 1 is not in [0, 2)"},
           {"negative label", {1, 2}, {0, -1}, 1, 1, 1, "label -1 of image 1"},
           {"too few pixels", {1, 2, 3}, {0, 1}, 1, 2, 1, "need 4 bytes, but there are 3"},
           {"too many pixels", {1, 2, 3}, {0, 1}, 1, 1, 1, "need 2 bytes, but there are 3"},
           {"no height", {}, {0, 1}, 0, 1, 1, "must be positive"},
           {"negative extents", {1, 2}, {0, 1}, -1, -1, 1, "must be positive"},
           {"overflow", {1, 2}, {0, 1}, kHuge, kHuge, 3, "all fit"},
       }) {
    const absl::Status status = MakeDataset(c.images, c.labels, c.height, c.width, c.channels, {"a", "b"}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
  }
}

TEST(DatasetTest, SplitsMustAgreeOnClasses) {
  DatasetSplits splits = Tiny();
  splits.test.class_names = {"a", "c"};
  EXPECT_EQ(WriteDataset(TestPath(), splits).code(), absl::StatusCode::kInvalidArgument);
}

TEST(DatasetTest, MissingFile) { EXPECT_EQ(OpenDataset(TestPath()).status().code(), absl::StatusCode::kNotFound); }

TEST(DatasetTest, DamageIsDetected) {
  ASSERT_TRUE(WriteDataset(TestPath(), Tiny()).ok());
  const std::string sound = ReadFile(TestPath()).value();
  std::mt19937_64 random(3);
  for (int i = 0; i < 500; ++i) {
    std::string mutant = sound;
    mutant[random() % mutant.size()] ^= static_cast<char>(1 << random() % 8);
    const std::string path = TestPath() + std::to_string(i);
    std::ofstream(path, std::ios::binary) << mutant;
    EXPECT_EQ(OpenDataset(path).status().code(), absl::StatusCode::kDataLoss) << i;
    std::remove(path.c_str());
  }
}

// Sound safetensors files that are no data sets.
TEST(DatasetTest, OtherContentIsDataLoss) {
  const std::vector<int64_t> labels = {0};
  const std::vector<uint8_t> pixels = {1, 2, 3};
  const std::map<std::string, std::string> metadata = {{"name", "x"}, {"class_names", "[\"a\"]"}};
  const TensorView images{"train_images", DType::kU8, {1, 1, 1, 3}, pixels};
  const TensorView train_labels{"train_labels", DType::kI64, {1}, Bytes(labels)};
  const TensorView test_images{"test_images", DType::kU8, {1, 1, 1, 3}, pixels};
  const TensorView test_labels{"test_labels", DType::kI64, {1}, Bytes(labels)};
  const std::vector<int64_t> large = {7};
  struct Case {
    std::string name;
    std::vector<TensorView> tensors;
    std::map<std::string, std::string> metadata;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {"no tensors", {}, metadata, "no tensor \"train_images\""},
           {"no test", {images, train_labels}, metadata, "no tensor \"test_images\""},
           {"no metadata", {images, train_labels, test_images, test_labels}, {}, "must have name"},
           {"class names are no JSON",
            {images, train_labels, test_images, test_labels},
            {{"name", "x"}, {"class_names", "[[[["}},
            "list of strings"},
           {"class names are numbers",
            {images, train_labels, test_images, test_labels},
            {{"name", "x"}, {"class_names", "[1]"}},
            "list of strings"},
           {"images of rank 3",
            {{"train_images", DType::kU8, {1, 1, 3}, pixels}, train_labels, test_images, test_labels},
            metadata,
            "must be U8 [N,H,W,C]"},
           {"labels of another type",
            {images, {"train_labels", DType::kF64, {1}, Bytes(labels)}, test_images, test_labels},
            metadata,
            "must be U8 [N,H,W,C]"},
           {"another count of labels",
            {images, {"train_labels", DType::kI64, {1, 1}, Bytes(labels)}, test_images, test_labels},
            metadata,
            "must be U8 [N,H,W,C]"},
           {"label out of range",
            {images, train_labels, test_images, {"test_labels", DType::kI64, {1}, Bytes(large)}},
            metadata,
            "label 7 of image 0"},
       }) {
    ASSERT_TRUE(WriteSafetensors(TestPath(), c.tensors, c.metadata).ok()) << c.name;
    const absl::Status status = OpenDataset(TestPath()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << c.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(TestPath())) << c.name;
  }
}

// By hand: channel 0 holds 0, 51, 102, 255: mean 102 = 0.4 of 255, mean square of the differences (10404 + 2601 + 0 +
// 23409) / 4 = 9103.5. Channel 1 is constant.
TEST(DatasetTest, StatisticsByHand) {
  const Dataset dataset = MakeDataset({0, 7, 51, 7, 102, 7, 255, 7}, {0, 0}, 1, 2, 2, {"a"}).value();
  const ChannelStatistics statistics = ComputeChannelStatistics(dataset);
  ASSERT_EQ(statistics.mean.size(), 2u);
  EXPECT_NEAR(statistics.mean[0], 0.4, 1e-12);
  EXPECT_NEAR(statistics.std[0], std::sqrt(9103.5) / 255, 1e-12);
  EXPECT_NEAR(statistics.mean[1], 7.0 / 255, 1e-12);
  EXPECT_NEAR(statistics.std[1], 0, 1e-12);
}

TEST(DatasetTest, StatisticsOfNothingAreZero) {
  const Dataset dataset = MakeDataset({}, {}, 1, 2, 1, {"a"}).value();
  EXPECT_THAT(ComputeChannelStatistics(dataset).mean, ElementsAre(0));
  EXPECT_THAT(ComputeChannelStatistics(dataset).std, ElementsAre(0));
}

}  // namespace
}  // namespace retort::data
