#include "retort/kd/teacher.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/allclose.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/one_hot.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/targets/target_rows.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/nn/build_model.h"

namespace retort::kd {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;
using testing::TinyOptions;
using testing::TinyTraining;

constexpr int64_t kViews = 4;

void ExpectRefused(const absl::Status& status, const char* message) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(message));
}

TargetRequest Ask(bool logits, bool embedding, std::vector<std::string> taps = {}) {
  TargetRequest request;
  request.logits = logits;
  request.embedding = embedding;
  request.taps = std::move(taps);
  return request;
}

TEST(LiveTeacherTest, RunsInEvaluationModeWithoutGradients) {
  const TinyTraining tiny;
  auto owned = std::make_unique<TinyModel>(3, 0.5);
  const TinyModel& model = *owned;
  const std::string weights = testing::Weights(model);
  LiveTeacher teacher(std::move(owned));
  EXPECT_FALSE(model.training());
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5});
  const auto first = teacher.Look(batch, Ask(true, true, {"hidden"}));
  const auto second = teacher.Look(batch, Ask(true, true, {"hidden"}));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(first->logits.requires_grad());
  EXPECT_FALSE(first->embedding.requires_grad());
  EXPECT_FALSE(first->taps.at("hidden").requires_grad());
  EXPECT_TRUE(at::equal(first->logits, second->logits));
  EXPECT_EQ(testing::Weights(model), weights);
  for (const auto& [name, parameter] : model.Parameters()) EXPECT_FALSE(parameter.requires_grad()) << name;
}

TargetRequest GradientsOf(bool images, std::vector<std::string> maps) {
  TargetRequest request;
  request.logits = true;
  request.gradients = {images, std::move(maps)};
  return request;
}

// Each image's own, by central differences of its cross-entropy in f32.
TEST(LiveTeacherTest, GivesTheGradientsOfEachImage) {
  const TinyTraining tiny;
  auto owned = std::make_unique<TinyModel>(3, 0.5);
  TinyModel& model = *owned;
  LiveTeacher teacher(std::move(owned));
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5});
  const auto targets = teacher.Look(batch, GradientsOf(true, {"map"}));
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
  EXPECT_TRUE(alone->gradients.maps.empty());
  // logits = W2 hidden + b2, so d CE / d hidden = W2^T (p - onehot).
  at::Tensor weight;
  for (const auto& [name, parameter] : model.Parameters()) {
    if (parameter.dim() == 2 && parameter.size(0) == testing::kClasses) weight = parameter;
  }
  const at::Tensor error = at::softmax(targets->logits, 1) - at::one_hot(batch.labels, testing::kClasses);
  const at::Tensor by_hidden = error.matmul(weight).view({3, 2, -1, 2});
  const at::Tensor map = targets->gradients.maps.at("map");
  ASSERT_EQ(map.sizes(), by_hidden.select(1, 0).sizes());
  EXPECT_TRUE(at::allclose(map, (by_hidden.select(1, 0).abs() + by_hidden.select(1, 1).abs()) / 2, 1e-4, 1e-6));
  EXPECT_EQ(teacher.Check(GradientsOf(false, {"conv9"})).code(), absl::StatusCode::kInvalidArgument);
  ExpectRefused(teacher.Look(batch, GradientsOf(false, {"hidden"})).status(), "\"hidden\" has 2 dimensions");
}

TEST(LiveTeacherTest, GivesMapsOfTaps) {
  const TinyTraining tiny;
  LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5});
  TargetRequest request = Ask(false, false, {"map"});
  request.maps = {"map"};
  const auto targets = teacher.Look(batch, request);
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_FALSE(targets->logits.defined() || targets->embedding.defined());
  const at::Tensor features = targets->taps.at("map"), map = targets->maps.at("map");
  ASSERT_EQ(map.dim(), 3);
  for (int64_t i = 0; i < map.numel(); ++i) {
    const int64_t b = i / (map.size(1) * map.size(2)), h = i / map.size(2) % map.size(1), w = i % map.size(2);
    const double first = features[b][0][h][w].item<double>(), second = features[b][1][h][w].item<double>();
    EXPECT_NEAR(map[b][h][w].item<double>(), (first * first + second * second) / 2, 1e-6);
  }
  request.maps = {"hidden"};
  ExpectRefused(teacher.Look(batch, request).status(), "\"hidden\" has 2 dimensions");
}

TEST(LiveTeacherTest, FoldsViewsIntoTheBatch) {
  const TinyTraining tiny;
  LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  const auto both = teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {5, 0}), Ask(true, false));
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->logits.size(0), 6);
  EXPECT_TRUE(at::equal(both->logits.slice(0, 0, 3),
                        teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {5}), Ask(true, false))->logits));
  EXPECT_TRUE(at::equal(both->logits.slice(0, 3, 6),
                        teacher.Look(*tiny.batcher->Assemble({3, 1, 4}, {0}), Ask(true, false))->logits));
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
  EXPECT_TRUE(at::equal(own.Look(batch, Ask(true, false))->logits, same.Look(seen, Ask(true, false))->logits));
  EXPECT_FALSE(at::equal(own.Look(batch, Ask(true, false))->logits, same.Look(batch, Ask(true, false))->logits));
}

TEST(LiveTeacherTest, NamesTheTapsItHas) {
  const LiveTeacher teacher(std::make_unique<TinyModel>(3, 0.5));
  EXPECT_TRUE(teacher.Check(Ask(true, true, {"hidden"})).ok());
  const absl::Status status = teacher.Check(Ask(false, false, {"hidden", "conv9"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("\"conv9\""));
  EXPECT_THAT(status.message(), HasSubstr("it has hidden, map"));
}

constexpr char kEverything[] = "embedding: true map: 'map' gradient_map: 'map' input_gradient: true precision: ";

TargetRequest Everything() {
  TargetRequest request = GradientsOf(true, {"map"});
  request.embedding = true;
  request.maps = {"map"};
  return request;
}

// To the bit, whatever batches the cache was made in.
TEST(CachedTeacherTest, SaysWhatTheLiveTeacherSays) {
  const TinyTraining tiny;
  const data::Batch batch = *tiny.batcher->Assemble({20, 0, 7, 3, 3}, {2, 0, 3});
  auto live = tiny.teacher->Look(batch, Everything());
  ASSERT_TRUE(live.ok()) << live.status();
  for (const int64_t size : {1, 3, 5}) {
    CachedTeacher exact(CacheOf(*tiny.teacher, tiny, kViews, std::string(kEverything) + "FP32", size));
    EXPECT_TRUE(exact.Check(Everything()).ok());
    auto targets = exact.Look(batch, Everything());
    ASSERT_TRUE(targets.ok()) << targets.status();
    for (const std::string& name : TargetNames(Everything())) {
      EXPECT_TRUE(at::equal(TargetOf(*targets, name), TargetOf(*live, name))) << name << " by " << size;
      EXPECT_FALSE(TargetOf(*targets, name).requires_grad());
    }
  }
  CachedTeacher half(CacheOf(*tiny.teacher, tiny, kViews, "precision: FP16"));
  const auto rounded = half.Look(batch, Ask(true, false));
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_TRUE(rounded->logits.allclose(live->logits, 1.0 / 2048, 1e-7));
  EXPECT_FALSE(at::equal(rounded->logits, live->logits));
}

TEST(CachedTeacherTest, RefusesWhatIsNotStored) {
  const TinyTraining tiny;
  const CachedTeacher teacher(CacheOf(*tiny.teacher, tiny, 1, "map: 'map'"));
  EXPECT_TRUE(teacher.Check(Ask(true, false)).ok());
  ExpectRefused(teacher.Check(Ask(false, false, {"hidden"})), "tap hidden; run the teacher itself");
  ExpectRefused(teacher.Check(Ask(true, true)), "embedding: true");
  ExpectRefused(teacher.Check(GradientsOf(true, {"map"})), "gradient_map: \"map\", input_gradient: true");
}

// log(share softmax(a) + (1 - share) softmax(b)), in plain loops.
std::vector<double> MixedByHand(const at::Tensor& a, const at::Tensor& b, double share) {
  const auto probabilities = [](const at::Tensor& logits) {
    std::vector<double> p;
    double sum = 0;
    for (int64_t k = 0; k < logits.size(0); ++k) sum += p.emplace_back(std::exp(logits[k].item<double>()));
    for (double& value : p) value /= sum;
    return p;
  };
  const std::vector<double> p = probabilities(a), q = probabilities(b);
  std::vector<double> mixed;
  for (size_t k = 0; k < p.size(); ++k) mixed.push_back(std::log(share * p[k] + (1 - share) * q[k]));
  return mixed;
}

void ExpectNear(const at::Tensor& logits, const std::vector<double>& expected, int64_t row) {
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_NEAR(logits[static_cast<int64_t>(k)].item<double>(), expected[k], 1e-5) << row;
  }
}

TEST(CachedTeacherTest, MixesTargetsAsImagesAreMixed) {
  TinyOptions options;
  options.training = "augment { mixup { alpha: 0.4 } }";
  const TinyTraining tiny, mixing(options);
  CachedTeacher teacher(CacheOf(*tiny.teacher, tiny, kViews, "precision: FP32 embedding: true"));
  const data::Batch batch = *mixing.batcher->Assemble({20, 0, 7, 3, 4}, {2, 0});
  const data::Batch alone = *tiny.batcher->Assemble({20, 0, 7, 3, 4}, {2, 0});
  const at::Tensor mixed = teacher.Look(batch, Ask(true, false))->logits;
  const at::Tensor own = teacher.Look(alone, Ask(true, false))->logits;
  for (int64_t v = 0; v < 2; ++v) {
    for (int64_t b = 0; b < 5; ++b) {
      const int64_t row = 5 * v + b, partner = 5 * v + (b == 4 ? 3 : b ^ 1);
      ExpectNear(mixed[row], MixedByHand(own[row], own[partner], batch.lambda[v][b].item<double>()), row);
    }
  }
  ExpectRefused(teacher.Look(batch, Ask(true, true)).status(), "there are logits alone");
}

TEST(CachedTeacherTest, ReadsAnotherView) {
  const TinyTraining tiny;
  const auto cache = [&] { return CacheOf(*tiny.teacher, tiny, kViews, "precision: FP32"); };
  CachedTeacher same(cache());
  CachedTeacher other(cache(), [](int64_t view, int64_t image) { return (view + image) % kViews; });
  const std::vector<int64_t> index = {20, 7, 3};
  const at::Tensor seen = other.Look(*tiny.batcher->Assemble(index, {17}), Ask(true, false))->logits;
  const at::Tensor views = at::tensor({(17 + 20) % 4, (17 + 7) % 4, (17 + 3) % 4}, at::kLong).unsqueeze(0);
  EXPECT_TRUE(at::equal(seen, same.Look(*tiny.batcher->AssembleEach(index, views), Ask(true, false))->logits));
}

TEST(EnsembleTeacherTest, GivesTheWeightedMeanOfProbabilities) {
  const TinyTraining tiny;
  const auto live = [](uint32_t seed) { return std::make_unique<LiveTeacher>(std::make_unique<TinyModel>(seed, 0.5)); };
  std::vector<EnsembleTeacher::Member> members;
  members.push_back({live(3), 3});
  members.push_back({live(4), 1});
  EnsembleTeacher ensemble(std::move(members));
  const data::Batch batch = *tiny.batcher->Assemble({3, 1, 4}, {5, 2});
  EXPECT_TRUE(ensemble.Check(Ask(true, false)).ok());
  ExpectRefused(ensemble.Check(Ask(true, false, {"hidden"})), "of several teachers there are logits alone");
  const auto both = ensemble.Look(batch, Ask(true, false));
  ASSERT_TRUE(both.ok()) << both.status();
  const at::Tensor first = live(3)->Look(batch, Ask(true, false))->logits;
  const at::Tensor second = live(4)->Look(batch, Ask(true, false))->logits;
  for (int64_t row = 0; row < 6; ++row) ExpectNear(both->logits[row], MixedByHand(first[row], second[row], 0.75), row);
}

TEST(MeanLogitsTest, AWeightOfNothingIsNothing) {
  const at::Tensor a = at::tensor({1.0, -2.0, 3e4}).view({1, 3}), b = at::tensor({0.0, 5.0, 1.0}).view({1, 3});
  const at::Tensor one = at::ones({1}, at::kDouble), none = at::zeros({1}, at::kDouble);
  EXPECT_TRUE(MeanLogits({a, b}, {one, none}).allclose(a.log_softmax(1)));
  EXPECT_TRUE(MeanLogits({a, b}, {none, one}).allclose(b.log_softmax(1)));
}

// These models give an image the same bits in batches of any size, on any number of threads.
class BatchTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BatchTest, DoesNotChangeABit) {
  config::Model config;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam(), &config));
  auto model = nn::BuildModel(config, {3, 32, 32, 10}, /*seed=*/1, /*channels_last=*/true);
  ASSERT_TRUE(model.ok()) << model.status();
  LiveTeacher teacher(*std::move(model));
  const at::Generator generator = at::detail::createCPUGenerator(5);
  const at::Tensor images =
      at::randn({1, 70, 3, 32, 32}, generator, at::kFloat).squeeze(0).contiguous(at::MemoryFormat::ChannelsLast);
  const auto look = [&](int64_t first, int64_t count) {
    data::Batch batch;
    batch.images = images.narrow(0, first, count).unsqueeze(0);
    batch.labels = at::arange(first, first + count).remainder(10);
    batch.view = at::zeros({1}, at::kLong);
    return *teacher.Look(batch, GradientsOf(true, {}));
  };
  at::set_num_threads(2);
  const Targets all = look(0, 70);
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const int64_t size : {1, 3, 13, 69}) {
      for (int64_t first = 0; first < 70; first += 34) {
        const int64_t count = std::min(size, 70 - first);
        const Targets some = look(first, count);
        EXPECT_TRUE(at::equal(some.logits, all.logits.narrow(0, first, count)))
            << count << " from " << first << " on " << threads;
        EXPECT_TRUE(at::equal(some.gradients.images, all.gradients.images.narrow(0, first, count)))
            << count << " from " << first << " on " << threads;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, BatchTest,
                         ::testing::Values("light_nn {}", "deep_nn {}", "cifar_resnet { depth: 8 }"));

}  // namespace
}  // namespace retort::kd
