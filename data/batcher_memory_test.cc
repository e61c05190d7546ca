// Memory that data::Batcher takes besides the batch, counted by the kernel.
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/augment.pb.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/testing/memory_growth.h"

namespace retort::data {
namespace {

constexpr int64_t kBatch = 4096, kImage = 3 * 32 * 32;

// What else a process takes meanwhile: pages of its program, arenas and stacks of threads; and the kernel counts a
// thread's pages in lumps. A quarter of the batch's bytes before they are numbers (12 MiB): no copy of it goes unseen.
constexpr int64_t kProcess = 3 << 20;

struct Plan {
  std::string name;
  std::vector<std::string> steps;
  int64_t of_an_image;  // bytes: what is drawn for it, its place, its label
  int64_t of_all = 0;   // bytes of those images that are augmented at a time
};

class BatcherMemoryTest : public ::testing::TestWithParam<Plan> {};

TEST_P(BatcherMemoryTest, IsTheBatchAndWhatIsDrawn) {
  std::mt19937 random(31);
  std::vector<uint8_t> pixels(static_cast<size_t>(128 * kImage));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
  const Dataset dataset = MakeDataset(std::move(pixels), std::vector<int64_t>(128), 32, 32, 3, {"one"}).value();
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  for (const std::string& text : GetParam().steps) {
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, steps.Add())) << text;
  }
  const Batcher batcher = Batcher::Create(&dataset, ViewPlan::Create(steps, 1).value(), {{0, 0, 0}, {1, 1, 1}},
                                          Batcher::Layout::kChannelsLast)
                              .value();
  std::vector<int64_t> index(kBatch);
  for (int64_t& i : index) i = static_cast<int64_t>(random() % 128);

  ASSERT_TRUE(batcher.Assemble({1, 2, 3, 4}, {0}).ok());  // makes the threads and reads most of the program
  absl::StatusOr<Batch> batch;
  const int64_t peak = testing::GrowthOfMemory([&] { batch = batcher.Assemble(index, {0}); }).peak;
  ASSERT_EQ(batch.status(), absl::OkStatus());
  const int64_t images = batch->images.numel() * 4;
  EXPECT_EQ(images, kBatch * kImage * 4);
  EXPECT_GE(peak, images);
  EXPECT_LE(peak - images, kBatch * GetParam().of_an_image + GetParam().of_all + kProcess);
}

// Pixels that policies work on at a time. aug_mix has each image and its three chains besides.
constexpr int64_t kPart = 1 << 18;

INSTANTIATE_TEST_SUITE_P(
    Plans, BatcherMemoryTest,
    ::testing::Values(Plan{"None", {}, 256}, Plan{"CropFlipCutout", {"crop {}", "flip {}", "cutout {}"}, 256},
                      Plan{"Mixup", {"crop {}", "mixup {}"}, 384},
                      // Of each of 32 rows and 32 columns its first pixel and two weights.
                      Plan{"RandomResizedCrop", {"random_resized_crop { size: 32 }"}, 256 + 64 * 3 * 4},
                      Plan{"RandAugmentAndMixup", {"crop {}", "rand_augment {}", "mixup {}"}, 256, kPart},
                      Plan{"AugMix", {"aug_mix {}"}, 256, 5 * kPart}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::data
