// That a student cannot tell a stored teacher from a live one: the same bits after 200 steps with augmentation, for
// every term whose facts say that a cache can hold what it reads.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/kd/objective.h"
#include "retort/kd/teacher.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/nn/build_model.h"
#include "retort/testing/new_folder.h"

namespace retort::kd {
namespace {

using ::google::protobuf::FieldDescriptor;
using Facts = config::TermFacts;

constexpr int64_t kImages = 797;
constexpr int64_t kSide = 20;
constexpr int64_t kViewSide = 16;
constexpr int64_t kClasses = 10;
constexpr int64_t kViews = 3;
constexpr uint64_t kSeed = 7;

// 200 steps, the last of each epoch of five images.
constexpr char kTraining[] = R"(
  epochs: 2 batch_size: 8 optimizer { adam { learning_rate: 0.002 } }
  augment { random_resized_crop { size: 16 } } augment { flip {} }
  augment { color_jitter { brightness { min: 0.6 max: 1.4 } saturation { min: 0.6 max: 1.4 } } }
  augment { random_erasing {} })";

constexpr char kStudent[] = "light_nn { conv1: 4 conv2: 4 hidden: 16 }";
constexpr char kTokenStudent[] =
    "vit { patch: 4 width: 8 depth: 1 heads: 1 distillation_token: true mlp_dropout: 0.1 }";
constexpr char kTeacher[] = "light_nn { conv1: 8 conv2: 8 hidden: 32 }";

constexpr char kPair[] = "pair { student: 'conv1' teacher: 'features' } ";

// What terms need said; the others do with their defaults.
std::string OptionsOf(const std::string& term) {
  static const auto* const options = new std::map<std::string, std::string>{
      {"attention", absl::StrCat(kPair, "pooling: MAP")},
      {"correlation_congruence", "neighbours { width: 8 }"},
      {"crd", "width: 8 negatives: 16"},
      {"distillation_token", "soft {}"},
      {"gradient_attention", kPair},
      {"multi_level", "temperature: 2 temperature: 4"},
      {"top_k_cross_entropy", "k: 3"},
  };
  const auto found = options->find(term);
  return found == options->end() ? "" : found->second;
}

// Whether target_cache.proto has a place for it.
bool Storable(int target) {
  return target == Facts::LOGITS || target == Facts::EMBEDDING || target == Facts::ATTENTION_MAPS ||
         target == Facts::GRADIENT_MAPS || target == Facts::INPUT_GRADIENT;
}

std::vector<const FieldDescriptor*> CacheableTerms() {
  const google::protobuf::OneofDescriptor& terms = *config::Term::descriptor()->FindOneofByName("term");
  std::vector<const FieldDescriptor*> cacheable;
  for (int i = 0; i < terms.field_count(); ++i) {
    const auto& caches = terms.field(i)->message_type()->options().GetExtension(config::facts).caches();
    if (!caches.empty() && std::all_of(caches.begin(), caches.end(), Storable)) cacheable.push_back(terms.field(i));
  }
  return cacheable;
}

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// Images of noise about a colour of their class.
data::Dataset Noise() {
  std::mt19937 random(5);
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kImages; ++i) {
    labels.push_back(static_cast<int64_t>(random() % kClasses));
    for (int64_t p = 0; p < kSide * kSide * 3; ++p) {
      pixels.push_back(static_cast<uint8_t>(random() % 150 + static_cast<uint64_t>(labels.back()) * (p % 3 + 1) * 3));
    }
  }
  return data::MakeDataset(std::move(pixels), std::move(labels), kSide, kSide, 3,
                           std::vector<std::string>(kClasses, "class"))
      .value();
}

std::unique_ptr<nn::Model> Build(const char* config, uint64_t seed) {
  return nn::BuildModel(Parse<config::Model>(config), {3, kViewSide, kViewSide, kClasses}, seed,
                        /*channels_last=*/true)
      .value();
}

// What all terms share: images, their views, a teacher, and what was stored of it.
class Classroom {
 public:
  Classroom()
      : dataset(Noise()),
        training(Parse<config::Training>(kTraining)),
        batcher(data::Batcher::Create(&dataset, data::ViewPlan::Create(training.augment(), kSeed).value(),
                                      data::ComputeChannelStatistics(dataset), data::Batcher::Layout::kChannelsLast)
                    .value()),
        teacher(Build(kTeacher, /*seed=*/1)) {}

  CachedTeacher Stored(const std::string& precision, int threads, int64_t batch) {
    at::set_num_threads(threads);
    const auto contents = Parse<config::StoredTargets>(
        absl::StrCat("embedding: true map: 'features' gradient_map: 'features' input_gradient: true shard_size: 300 "
                     "precision: ",
                     precision));
    return CachedTeacher(testing::CacheOf(teacher, batcher, kImages, kViews, contents, batch));
  }

  const data::Dataset dataset;
  const config::Training training;
  const data::Batcher batcher;
  LiveTeacher teacher;
};

class LiveAndCachedTest : public ::testing::TestWithParam<const FieldDescriptor*> {
 protected:
  static void SetUpTestSuite() {
    room_ = new Classroom();
    in_threes_ = new CachedTeacher(room_->Stored("FP32", /*threads=*/2, /*batch=*/3));
    at_once_ = new CachedTeacher(room_->Stored("FP32", /*threads=*/3, /*batch=*/512));
    rounded_ = new CachedTeacher(room_->Stored("FP16", /*threads=*/2, /*batch=*/512));
  }
  static void TearDownTestSuite() {
    delete rounded_;
    delete at_once_;
    delete in_threes_;
    delete room_;
  }

  // Bytes of all that a training by the term alone changes: the student, and the term's own parts.
  std::string TrainedBy(Teacher& teacher) {
    at::set_num_threads(1);
    const std::string& term = GetParam()->name();
    Objective objective =
        Objective::Create(Parse<config::Objective>(absl::StrCat("term { ", term, " { ", OptionsOf(term), " } }")))
            .value();
    const std::unique_ptr<nn::Model> student =
        Build(term == "distillation_token" ? kTokenStudent : kStudent, /*seed=*/2);
    TrainingTask task;
    task.model = student.get();
    task.objective = &objective;
    task.teacher = &teacher;
    task.dataset = &room_->dataset;
    task.batcher = &room_->batcher;
    task.evaluator = &room_->batcher;
    for (int64_t i = 0; i < kImages; ++i) task.train_index.push_back(i);
    // One view of each image, all views among those of a step, and another one in the second epoch.
    task.views_of = [](int64_t epoch, absl::Span<const int64_t> index) {
      std::vector<int64_t> views;
      for (const int64_t image : index) views.push_back((image + epoch) % kViews);
      return at::tensor(views, at::kLong).unsqueeze(0);
    };
    task.training = room_->training;
    task.seed = kSeed;
    TrainingRun run;
    run.work_dir = retort::testing::NewFolder();
    int64_t steps = 0;
    run.on_progress = [&steps](const TrainingRun::Progress&) { ++steps; };
    const auto metrics = Train(task, run);
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    EXPECT_EQ(steps, 200);
    return testing::Weights(*student) + testing::Bytes(objective.Parameters()) + testing::Bytes(objective.Buffers());
  }

  static Classroom* room_;
  static CachedTeacher* in_threes_;
  static CachedTeacher* at_once_;
  static CachedTeacher* rounded_;
};

Classroom* LiveAndCachedTest::room_ = nullptr;
CachedTeacher* LiveAndCachedTest::in_threes_ = nullptr;
CachedTeacher* LiveAndCachedTest::at_once_ = nullptr;
CachedTeacher* LiveAndCachedTest::rounded_ = nullptr;

TEST_P(LiveAndCachedTest, GiveTheSameBits) {
  const std::string live = TrainedBy(room_->teacher);
  EXPECT_TRUE(TrainedBy(*in_threes_) == live);
  EXPECT_TRUE(TrainedBy(*at_once_) == live);
  // The teacher's last digits do reach the student.
  EXPECT_FALSE(TrainedBy(*rounded_) == live);
}

INSTANTIATE_TEST_SUITE_P(Terms, LiveAndCachedTest, ::testing::ValuesIn(CacheableTerms()),
                         [](const auto& test) { return test.param->name(); });

}  // namespace
}  // namespace retort::kd
