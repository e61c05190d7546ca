#include "retort/kd/teacher.h"

#include <memory>
#include <string>
#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/kd/testing/tiny_training.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;
using testing::TinyTraining;

constexpr int64_t kViews = 4;

// A cache of what `teacher` says of every view of every image, made image by image.
TargetCache CacheOf(Teacher& teacher, const TinyTraining& tiny, TargetPrecision precision) {
  TargetCacheBuilder builder(kViews, tiny.dataset.size, true, precision);
  for (int64_t view = 0; view < kViews; ++view) {
    for (int64_t image = 0; image < tiny.dataset.size; ++image) {
      const data::Batch batch = *tiny.batcher->Assemble({image}, {view});
      EXPECT_TRUE(builder.Put(view, batch.index, *teacher.Look(batch, {true, {}})).ok());
    }
  }
  const std::string path = testing::NewFolder() + "/targets.safetensors";
  EXPECT_TRUE(builder.Write(path).ok());
  return *TargetCache::Open(path);
}

TEST(LiveTeacherTest, RunsInEvaluationModeWithoutGradients) {
  const TinyTraining tiny;
  auto owned = std::make_unique<TinyModel>(3, 0.5);
  const TinyModel& model = *owned;
  const std::string weights = testing::Weights(model);
  LiveTeacher teacher(std::move(owned));
  EXPECT_FALSE(model.training());
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5});
  const auto first = teacher.Look(batch, {true, {"hidden"}});
  const auto second = teacher.Look(batch, {true, {"hidden"}});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(first->logits.requires_grad());
  EXPECT_FALSE(first->embedding.requires_grad());
  EXPECT_FALSE(first->taps.at("hidden").requires_grad());
  EXPECT_TRUE(at::equal(first->logits, second->logits));
  EXPECT_EQ(testing::Weights(model), weights);
  for (const auto& [name, parameter] : model.Parameters()) EXPECT_FALSE(parameter.requires_grad()) << name;
}

TEST(LiveTeacherTest, FoldsViewsIntoTheBatch) {
  const TinyTraining tiny;
  LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  const auto both = teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {5, 0}), {});
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->logits.size(0), 6);
  EXPECT_TRUE(
      at::equal(both->logits.slice(0, 0, 3), teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {5}), {})->logits));
  EXPECT_TRUE(
      at::equal(both->logits.slice(0, 3, 6), teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {0}), {})->logits));
}

TEST(LiveTeacherTest, NamesTheTapsItHas) {
  const LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  EXPECT_TRUE(teacher.Check({true, {"hidden"}}).ok());
  const absl::Status status = teacher.Check({false, {"hidden", "conv9"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("\"conv9\""));
  EXPECT_THAT(status.message(), HasSubstr("it has hidden"));
}

TEST(CachedTeacherTest, SaysWhatTheLiveTeacherSays) {
  const TinyTraining tiny;
  const data::Batch batch = *tiny.batcher->Assemble({20, 0, 7, 3, 3}, {2, 0, 3});
  const auto live = tiny.teacher->Look(batch, {true, {}});

  CachedTeacher exact(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp32));
  const auto targets = exact.Look(batch, {true, {}});
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_TRUE(at::equal(targets->logits, live->logits));
  EXPECT_TRUE(at::equal(targets->embedding, live->embedding));
  EXPECT_FALSE(targets->logits.requires_grad());

  CachedTeacher half(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp16));
  const auto rounded = half.Look(batch, {true, {}});
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_TRUE(rounded->logits.allclose(live->logits, 1.0 / 2048, 1e-7));
  EXPECT_FALSE(at::equal(rounded->logits, live->logits));
}

TEST(CachedTeacherTest, RefusesWhatIsNotStored) {
  const TinyTraining tiny;
  const CachedTeacher teacher(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp32));
  EXPECT_TRUE(teacher.Check({true, {}}).ok());
  const absl::Status taps = teacher.Check({false, {"hidden"}});
  EXPECT_EQ(taps.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(taps.message(), HasSubstr("hidden"));

  TargetCacheBuilder builder(1, 1, false, TargetPrecision::kFp32);
  ASSERT_TRUE(builder.Put(0, at::arange(1), {at::arange(3).view({1, 3}).to(at::kFloat), {}, {}}).ok());
  const std::string path = testing::NewFolder() + "/targets.safetensors";
  ASSERT_TRUE(builder.Write(path).ok());
  const absl::Status embedding = CachedTeacher(*TargetCache::Open(path)).Check({true, {}});
  EXPECT_EQ(embedding.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(embedding.message(), HasSubstr("embedding: true"));
}

}  // namespace
}  // namespace retort::kd
