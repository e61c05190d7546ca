#include "retort/kd/teacher.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/allclose.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/one_hot.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/kd/testing/tiny_training.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;
using testing::TinyOptions;
using testing::TinyTraining;

constexpr int64_t kViews = 4;

// A cache of what `teacher` says of every view of every image, made image by image.
TargetCache CacheOf(Teacher& teacher, const TinyTraining& tiny, TargetPrecision precision) {
  TargetCacheBuilder builder(kViews, tiny.dataset.size, true, precision);
  for (int64_t view = 0; view < kViews; ++view) {
    for (int64_t image = 0; image < tiny.dataset.size; ++image) {
      const data::Batch batch = *tiny.batcher->Assemble({image}, {view});
      EXPECT_TRUE(builder.Put(view, batch.index, *teacher.Look(batch, {{true, {}}, {}})).ok());
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
  const auto first = teacher.Look(batch, {{true, {"hidden"}}, {}});
  const auto second = teacher.Look(batch, {{true, {"hidden"}}, {}});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(first->logits.requires_grad());
  EXPECT_FALSE(first->embedding.requires_grad());
  EXPECT_FALSE(first->taps.at("hidden").requires_grad());
  EXPECT_TRUE(at::equal(first->logits, second->logits));
  EXPECT_EQ(testing::Weights(model), weights);
  for (const auto& [name, parameter] : model.Parameters()) EXPECT_FALSE(parameter.requires_grad()) << name;
}

TargetRequest GradientsOf(bool images, std::vector<std::string> taps) {
  TargetRequest request;
  request.gradients = {images, std::move(taps)};
  return request;
}

// Each image's own, by central differences of its cross-entropy in f32.
TEST(LiveTeacherTest, GivesTheGradientsOfEachImage) {
  const TinyTraining tiny;
  auto owned = std::make_unique<TinyModel>(3, 0.5);
  TinyModel& model = *owned;
  LiveTeacher teacher(std::move(owned));
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5});
  const auto targets = teacher.Look(batch, GradientsOf(true, {"hidden"}));
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_FALSE(targets->logits.requires_grad());
  EXPECT_TRUE(targets->taps.empty());
  const at::Tensor& gradient = targets->gradients.images;
  const at::Tensor images = batch.images.flatten(0, 1);
  ASSERT_EQ(gradient.sizes(), images.sizes());
  const auto loss = [&](const at::Tensor& x) {
    const at::NoGradGuard no_grad;
    return at::cross_entropy_loss(model.Forward(x, {}).logits, batch.labels, {}, at::Reduction::Sum).item<double>();
  };
  for (int64_t i = 0; i < images.numel(); i += 5) {
    at::Tensor nudge = at::zeros({images.numel()});
    nudge[i] = 1e-2;
    nudge = nudge.reshape(images.sizes());
    EXPECT_NEAR(gradient.flatten()[i].item<double>(), (loss(images + nudge) - loss(images - nudge)) / 2e-2, 2e-3) << i;
  }
  // A row does not depend on its batch.
  const auto alone = teacher.Look(*tiny.batcher->Assemble({1}, {5}), GradientsOf(true, {}));
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_TRUE(at::allclose(alone->gradients.images[0], gradient[1]));
  EXPECT_TRUE(alone->gradients.taps.empty());
  // logits = W2 hidden + b2, so d CE / d hidden = W2^T (p - onehot).
  at::Tensor weight;
  for (const auto& [name, parameter] : model.Parameters()) {
    if (parameter.dim() == 2 && parameter.size(0) == testing::kClasses) weight = parameter;
  }
  const at::Tensor error = at::softmax(targets->logits, 1) - at::one_hot(batch.labels, testing::kClasses);
  EXPECT_TRUE(at::allclose(targets->gradients.taps.at("hidden"), error.matmul(weight), 1e-4, 1e-6));
  EXPECT_EQ(teacher.Check(GradientsOf(false, {"conv9"})).code(), absl::StatusCode::kInvalidArgument);
}

TEST(CachedTeacherTest, RefusesGradients) {
  const TinyTraining tiny;
  const CachedTeacher teacher(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp32));
  const absl::Status status = teacher.Check(GradientsOf(true, {}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("gradients"));
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

// A teacher that makes its own views of the batch's images does not see the student's.
TEST(LiveTeacherTest, LooksAtItsOwnViews) {
  TinyOptions plain;
  plain.training = "";
  const TinyTraining tiny, other(plain);
  LiveTeacher own(std::make_unique<TinyModel>(3, 0.5), std::make_unique<const data::Batcher>(*other.batcher));
  LiveTeacher same(std::make_unique<TinyModel>(3, 0.5));
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4, 7, 8, 9}, {5, 0});
  const data::Batch seen = *other.batcher->Assemble({3, 1, 4, 7, 8, 9}, {5, 0});
  EXPECT_TRUE(at::equal(own.Look(batch, {})->logits, same.Look(seen, {})->logits));
  EXPECT_FALSE(at::equal(own.Look(batch, {})->logits, same.Look(batch, {})->logits));
}

TEST(LiveTeacherTest, NamesTheTapsItHas) {
  const LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  EXPECT_TRUE(teacher.Check({{true, {"hidden"}}, {}}).ok());
  const absl::Status status = teacher.Check({{false, {"hidden", "conv9"}}, {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("\"conv9\""));
  EXPECT_THAT(status.message(), HasSubstr("it has hidden"));
}

TEST(CachedTeacherTest, SaysWhatTheLiveTeacherSays) {
  const TinyTraining tiny;
  const data::Batch batch = *tiny.batcher->Assemble({20, 0, 7, 3, 3}, {2, 0, 3});
  const auto live = tiny.teacher->Look(batch, {{true, {}}, {}});

  CachedTeacher exact(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp32));
  const auto targets = exact.Look(batch, {{true, {}}, {}});
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_TRUE(at::equal(targets->logits, live->logits));
  EXPECT_TRUE(at::equal(targets->embedding, live->embedding));
  EXPECT_FALSE(targets->logits.requires_grad());

  CachedTeacher half(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp16));
  const auto rounded = half.Look(batch, {{true, {}}, {}});
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_TRUE(rounded->logits.allclose(live->logits, 1.0 / 2048, 1e-7));
  EXPECT_FALSE(at::equal(rounded->logits, live->logits));
}

TEST(CachedTeacherTest, RefusesWhatIsNotStored) {
  const TinyTraining tiny;
  const CachedTeacher teacher(CacheOf(*tiny.teacher, tiny, TargetPrecision::kFp32));
  EXPECT_TRUE(teacher.Check({{true, {}}, {}}).ok());
  const absl::Status taps = teacher.Check({{false, {"hidden"}}, {}});
  EXPECT_EQ(taps.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(taps.message(), HasSubstr("hidden"));

  TargetCacheBuilder builder(1, 1, false, TargetPrecision::kFp32);
  nn::Outputs outputs;
  outputs.logits = at::arange(3).view({1, 3}).to(at::kFloat);
  ASSERT_TRUE(builder.Put(0, at::arange(1), outputs).ok());
  const std::string path = testing::NewFolder() + "/targets.safetensors";
  ASSERT_TRUE(builder.Write(path).ok());
  const absl::Status embedding = CachedTeacher(*TargetCache::Open(path)).Check({{true, {}}, {}});
  EXPECT_EQ(embedding.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(embedding.message(), HasSubstr("embedding: true"));
}

}  // namespace
}  // namespace retort::kd
