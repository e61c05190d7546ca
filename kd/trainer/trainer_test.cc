#include "retort/kd/trainer/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/data/split.h"
#include "retort/kd/testing/tiny_training.h"
#include "retort/nn/weights.h"
#include "retort/testing/new_folder.h"

namespace retort::kd {
namespace {

using retort::testing::NewFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::TinyModel;
using testing::TinyOptions;
using testing::TinyTraining;

// All that a training leaves behind.
struct Outcome {
  std::string weights;
  std::string metrics;  // metrics.jsonl
  std::string numbers;  // bytes of the returned metrics

  bool operator==(const Outcome& other) const {
    return weights == other.weights && metrics == other.metrics && numbers == other.numbers;
  }
};

std::string Metrics(const std::string& folder) { return *data::ReadFile(folder + "/metrics.jsonl"); }

TrainingRun RunIn(const std::string& folder) {
  TrainingRun run;
  run.work_dir = folder;
  run.identity = "tiny";
  return run;
}

// Stops before the `allowed + 1`th step of this run; never if it is negative.
std::function<bool()> StopAfter(int64_t allowed) {
  return [allowed, done = int64_t{0}]() mutable { return allowed >= 0 && done++ >= allowed; };
}

// A new process' view of it: everything built anew, then trained for at most `allowed` steps. False: stopped.
bool TrainOn(const TinyOptions& options, TrainingRun run, int64_t allowed, Outcome* outcome) {
  TinyTraining tiny(options);
  run.stop_requested = StopAfter(allowed);
  const auto metrics = Train(tiny.task, run);
  if (!metrics.ok()) {
    EXPECT_EQ(metrics.status().code(), absl::StatusCode::kCancelled) << metrics.status();
    return false;
  }
  outcome->weights = testing::Weights(*tiny.model);
  outcome->metrics = Metrics(run.work_dir);
  outcome->numbers.clear();
  for (const EpochMetrics& epoch : *metrics) {
    std::vector<double> numbers = epoch.parts;
    numbers.insert(numbers.end(), {static_cast<double>(epoch.epoch), epoch.learning_rate, epoch.loss, epoch.accuracy,
                                   epoch.validation_loss, epoch.validation_accuracy});
    outcome->numbers.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  }
  return true;
}

Outcome Uninterrupted(const TinyOptions& options) {
  Outcome outcome;
  EXPECT_TRUE(TrainOn(options, RunIn(NewFolder()), -1, &outcome));
  return outcome;
}

constexpr char kDistillation[] =
    "term { weight: 0.75 cross_entropy {} } term { weight: 0.25 distill { temperature: 2 form: SOFT_CROSS_ENTROPY } }";

TEST(TrainerTest, LearnsASeparableProblem) {
  TinyOptions options;
  options.images = 60;
  options.validation = 15;
  options.dropout = 0;
  options.training = "epochs: 30 batch_size: 16 optimizer { adam { learning_rate: 0.05 } }";
  TinyTraining tiny(options);
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  ASSERT_THAT(*metrics, SizeIs(30));
  EXPECT_LT(metrics->back().loss, 0.1 * metrics->front().loss);
  EXPECT_EQ(metrics->back().accuracy, 1);
  EXPECT_EQ(metrics->back().validation_accuracy, 1);
  EXPECT_TRUE(tiny.model->training());
}

// Weights that hardly move make the epoch's means those of the fixed model: also over an incomplete last batch.
TEST(TrainerTest, MeansAreOverImages) {
  TinyOptions options;
  options.dropout = 0;
  options.objective = "term { weight: 0.5 cross_entropy {} } term { weight: 3 cross_entropy {} }";
  options.training = "epochs: 1 batch_size: 5 optimizer { sgd { learning_rate: 1e-30 } }";
  options.seed = 3;
  TinyTraining tiny(options);
  tiny.model->Buffers()[0].second.zero_();
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();

  // Image by image. The buffer has moved, so each batch of the training is redone with a fresh model.
  TinyTraining fresh(options);
  std::vector<double> losses, correct;
  const std::vector<int64_t> order = data::EpochOrder(fresh.task.train_index, options.seed, 0);
  for (size_t first = 0; first < order.size(); first += 5) {
    const auto batch = fresh.batcher->Assemble(absl::MakeConstSpan(order).subspan(first, 5), {0});
    const at::Tensor logits = fresh.model->Forward(batch->images[0], {}).logits.detach();
    for (int64_t b = 0; b < logits.size(0); ++b) {
      const float* const row = logits.const_data_ptr<float>() + b * testing::kClasses;
      double sum = 0;
      for (int64_t k = 0; k < testing::kClasses; ++k) sum += std::exp(static_cast<double>(row[k]));
      const int64_t label = fresh.dataset.labels[order[first + b]];
      losses.push_back(std::log(sum) - row[label]);
      correct.push_back(row[label] == *std::max_element(row, row + testing::kClasses));
    }
  }
  ASSERT_THAT(losses, SizeIs(17));
  const double loss = std::accumulate(losses.begin(), losses.end(), 0.0) / 17;
  EXPECT_NEAR((*metrics)[0].loss, 3.5 * loss, 1e-5);
  EXPECT_NEAR((*metrics)[0].parts[0], loss, 1e-6);
  EXPECT_NEAR((*metrics)[0].parts[1], loss, 1e-6);
  EXPECT_DOUBLE_EQ((*metrics)[0].accuracy, std::accumulate(correct.begin(), correct.end(), 0.0) / 17);
}

// log of the sum of e^z over a row of logits.
double LogSum(const float* row) {
  double sum = 0;
  for (int64_t k = 0; k < testing::kClasses; ++k) sum += std::exp(static_cast<double>(row[k]));
  return std::log(sum);
}

// Student and teacher see the same mixed images; labels weigh as much as pixels.
TEST(TrainerTest, LearnsFromMixedImages) {
  TinyOptions options;
  options.dropout = 0;
  options.objective = "term { cross_entropy {} } term { distill { temperature: 1 form: SOFT_CROSS_ENTROPY } }";
  options.training =
      "epochs: 1 batch_size: 17 optimizer { sgd { learning_rate: 1e-30 } } augment { flip {} } "
      "augment { mixup { alpha: 1 probability: 0.5 } } augment { cut_mix { probability: 0.5 } }";
  TinyTraining tiny(options);
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();

  TinyTraining fresh(options);
  const std::vector<int64_t> order = data::EpochOrder(fresh.task.train_index, options.seed, 0);
  const data::Batch batch = *fresh.batcher->Assemble(order, {0});
  const at::Tensor student = fresh.model->Forward(batch.images[0], {}).logits.detach(),
                   teacher = fresh.teacher->Look(batch, tiny.objective->needs().targets)->logits;
  double hard = 0, soft = 0, greatest_share = 0;
  for (int64_t b = 0; b < 17; ++b) {
    const float* const s = student.const_data_ptr<float>() + b * testing::kClasses;
    const float* const t = teacher.const_data_ptr<float>() + b * testing::kClasses;
    const int64_t partner = b == 16 ? 15 : b ^ 1;
    const double lambda = batch.lambda.const_data_ptr<float>()[b];
    greatest_share = std::max(greatest_share, std::min(lambda, 1 - lambda));
    hard += LogSum(s) - lambda * s[fresh.dataset.labels[static_cast<size_t>(order[static_cast<size_t>(b)])]] -
            (1 - lambda) * s[fresh.dataset.labels[static_cast<size_t>(order[static_cast<size_t>(partner)])]];
    for (int64_t k = 0; k < testing::kClasses; ++k) soft += std::exp(t[k] - LogSum(t)) * (LogSum(s) - s[k]);
  }
  EXPECT_GT(greatest_share, 0.3);
  EXPECT_NEAR((*metrics)[0].parts[0], hard / 17, 1e-6);
  EXPECT_NEAR((*metrics)[0].parts[1], soft / 17, 1e-6);
}

TEST(TrainerTest, WritesALineAnEpoch) {
  TinyOptions options;
  options.objective = kDistillation;
  TinyTraining tiny(options);
  const std::string folder = NewFolder();
  const auto metrics = Train(tiny.task, RunIn(folder));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  const std::vector<std::string> lines = absl::StrSplit(Metrics(folder), '\n');
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_EQ(lines[3], "");
  for (int i = 0; i < 3; ++i) {
    const EpochMetrics& epoch = (*metrics)[i];
    const nlohmann::json expected = {{"epoch", i + 1},
                                     {"learning_rate", epoch.learning_rate},
                                     {"loss", epoch.loss},
                                     {"parts", {{"cross_entropy", epoch.parts[0]}, {"distill", epoch.parts[1]}}},
                                     {"accuracy", epoch.accuracy},
                                     {"validation_loss", epoch.validation_loss},
                                     {"validation_accuracy", epoch.validation_accuracy}};
    EXPECT_EQ(nlohmann::json::parse(lines[i]), expected);
    EXPECT_NEAR(epoch.loss, 0.75 * epoch.parts[0] + 0.25 * epoch.parts[1], 1e-5);
  }
  // Warm-up from a tenth, then half a cosine over the two epochs left.
  EXPECT_DOUBLE_EQ((*metrics)[0].learning_rate, 0.002);
  EXPECT_DOUBLE_EQ((*metrics)[1].learning_rate, 0.02);
  EXPECT_DOUBLE_EQ((*metrics)[2].learning_rate, 0.01);
}

TEST(TrainerTest, ValidationIsMeasuredAfterTheEpochOnCleanImages) {
  TinyTraining tiny;
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  const auto evaluation = Evaluate(*tiny.model, *tiny.evaluator, tiny.task.validation_index, testing::kClasses, 2);
  EXPECT_NEAR(metrics->back().validation_loss, evaluation->loss, 1e-9);
  EXPECT_EQ(metrics->back().validation_accuracy, evaluation->accuracy);

  TinyOptions options;
  options.validation = 0;
  const std::string folder = NewFolder();
  TinyTraining without(options);
  const auto fewer = Train(without.task, RunIn(folder));
  ASSERT_TRUE(fewer.ok()) << fewer.status();
  EXPECT_TRUE(std::isnan(fewer->back().validation_loss));
  EXPECT_TRUE(std::isnan(fewer->back().validation_accuracy));
  EXPECT_THAT(Metrics(folder), ::testing::Not(HasSubstr("validation")));
}

TEST(TrainerTest, ReportsProgressAfterEveryStep) {
  TinyTraining tiny;
  TrainingRun run = RunIn(NewFolder());
  std::vector<int64_t> done;
  run.stop_requested = StopAfter(8);
  run.on_progress = [&](const TrainingRun::Progress& progress) {
    EXPECT_EQ(progress.epochs, 3);
    EXPECT_EQ(progress.images_total, 51);
    EXPECT_EQ(progress.epoch, static_cast<int64_t>(done.size()) / 5);
    EXPECT_TRUE(std::isfinite(progress.loss));
    EXPECT_GE(progress.seconds, 0);
    done.push_back(progress.images_done);
  };
  EXPECT_EQ(Train(tiny.task, run).status().code(), absl::StatusCode::kCancelled);
  TinyTraining again;
  run.stop_requested = nullptr;
  ASSERT_TRUE(Train(again.task, run).ok());
  // 17 images in batches of 4; resumed ones count.
  EXPECT_THAT(done, ElementsAre(4, 8, 12, 16, 17, 21, 25, 29, 33, 34, 38, 42, 46, 50, 51));
}

TEST(TrainerTest, TellsOfEveryEpochAndEndsWhereThatFails) {
  TinyTraining tiny;
  TrainingRun run = RunIn(NewFolder());
  std::vector<double> losses;
  run.on_epoch = [&](const EpochMetrics& metrics) {
    losses.push_back(metrics.loss);
    return losses.size() == 2 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  };
  EXPECT_EQ(Train(tiny.task, run).status(), absl::ResourceExhaustedError("full"));
  ASSERT_THAT(losses, SizeIs(2));
  TinyTraining again;
  const auto metrics = Train(again.task, run);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(losses.front(), metrics->front().loss);
  EXPECT_EQ(losses.back(), metrics->back().loss);
}

// Takes note of what it is asked for.
class NotingTeacher final : public Teacher {
 public:
  explicit NotingTeacher(Teacher* teacher) : teacher_(teacher) {}
  absl::Status Check(const TargetRequest& request) const override { return teacher_->Check(request); }
  absl::StatusOr<Targets> Look(const data::Batch& batch, const TargetRequest& request) override {
    const int64_t* const images = batch.index.const_data_ptr<int64_t>();
    batches.emplace_back(images, images + batch.index.numel());
    views.push_back(batch.view[0][0].item<int64_t>());
    if (batch.lambda.defined()) {
      const float* const lambda = batch.lambda.const_data_ptr<float>();
      shares.emplace_back(lambda, lambda + batch.lambda.numel());
    }
    return teacher_->Look(batch, request);
  }

  std::vector<std::vector<int64_t>> batches;
  std::vector<int64_t> views;
  std::vector<std::vector<double>> shares;  // of each image's own pixels, where they are mixed

 private:
  Teacher* teacher_;
};

// A stored view keeps its pixels, and is mixed anew in every epoch.
TEST(TrainerTest, EveryEpochMixesAnew) {
  TinyOptions options;
  options.objective = kDistillation;
  options.training = "epochs: 3 batch_size: 17 optimizer { adam {} } augment { mixup {} }";
  TinyTraining tiny(options);
  NotingTeacher teacher(tiny.teacher.get());
  tiny.task.teacher = &teacher;
  tiny.task.views_of = [](int64_t, absl::Span<const int64_t> index) { return SameView(1, index); };
  ASSERT_TRUE(Train(tiny.task, RunIn(NewFolder())).ok());
  ASSERT_THAT(teacher.shares, SizeIs(4));
  std::set<double> shares;
  for (size_t epoch = 1; epoch <= 3; ++epoch) {
    EXPECT_THAT(teacher.shares[epoch], SizeIs(17));
    shares.insert(teacher.shares[epoch].begin(), teacher.shares[epoch].end());
  }
  EXPECT_THAT(shares, SizeIs(51));
}

TEST(TrainerTest, EveryEpochShowsEveryImageOnceInItsOwnOrder) {
  TinyOptions options;
  options.objective = kDistillation;
  TinyTraining tiny(options);
  NotingTeacher teacher(tiny.teacher.get());
  tiny.task.teacher = &teacher;
  tiny.task.views_of = [](int64_t epoch, absl::Span<const int64_t> index) { return SameView(10 + epoch, index); };
  ASSERT_TRUE(Train(tiny.task, RunIn(NewFolder())).ok());
  ASSERT_THAT(teacher.batches, SizeIs(16));
  // The objective is made from a look at two images.
  EXPECT_THAT(teacher.batches[0], SizeIs(2));
  std::set<std::vector<int64_t>> orders;
  for (size_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order;
    for (size_t step = 5 * epoch + 1; step <= 5 * epoch + 5; ++step) {
      EXPECT_THAT(teacher.batches[step], SizeIs(step % 5 == 0 ? 1 : 4));
      EXPECT_EQ(teacher.views[step], static_cast<int64_t>(10 + epoch));
      order.insert(order.end(), teacher.batches[step].begin(), teacher.batches[step].end());
    }
    orders.insert(order);
    EXPECT_THAT(order, ::testing::UnorderedElementsAreArray(tiny.task.train_index));
  }
  EXPECT_THAT(orders, SizeIs(3));
}

TEST(TrainerTest, DropoutIsAFunctionOfSeedEpochAndStep) {
  TinyOptions options;
  options.images = 200;
  options.validation = 0;
  options.training = "epochs: 2 batch_size: 8 optimizer { sgd { learning_rate: 1e-3 } }";
  const auto dropped = [](const TinyOptions& tiny_options) {
    TinyTraining tiny(tiny_options);
    EXPECT_TRUE(Train(tiny.task, RunIn(NewFolder())).ok());
    return tiny.model->dropped();
  };
  const std::vector<int64_t> first = dropped(options);
  EXPECT_EQ(first, dropped(options));
  // 50 steps of 64 draws at 0.3.
  const double mean = std::accumulate(first.begin(), first.end(), 0.0) / 50;
  EXPECT_NEAR(mean, 0.3 * 64, 4 * std::sqrt(64 * 0.3 * 0.7 / 50));
  EXPECT_GT(std::set<int64_t>(first.begin(), first.end()).size(), 6);
  EXPECT_NE(std::vector<int64_t>(first.begin(), first.begin() + 25),
            std::vector<int64_t>(first.begin() + 25, first.end()));
  ++options.seed;
  EXPECT_NE(first, dropped(options));
}

TEST(TrainerTest, DivergenceNamesThePlaceAndTheParts) {
  TinyOptions options;
  options.objective = kDistillation;
  options.training = "epochs: 3 batch_size: 4 optimizer { sgd { learning_rate: 1e30 } }";
  TinyTraining tiny(options);
  const absl::Status status = Train(tiny.task, RunIn(NewFolder())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the loss became nan in epoch 1, step 2 of 5 (cross_entropy = nan, distill = nan)"),
                    HasSubstr("lower learning_rate")));
}

TEST(TrainerTest, DivergenceInTheLastStepIsFound) {
  TinyOptions options;
  options.training = "epochs: 1 batch_size: 100 optimizer { sgd { learning_rate: 1e39 } }";
  TinyTraining tiny(options);
  const absl::Status status = Train(tiny.task, RunIn(NewFolder())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(status.message(), HasSubstr("weight1 is NaN or infinite after epoch 1"));
}

TEST(TrainerTest, DivergenceLeavesTheBatchAndTheStateBehind) {
  TinyOptions options;
  options.training = "epochs: 3 batch_size: 4 optimizer { sgd { learning_rate: 1e30 } }";
  TinyTraining tiny(options);
  const TrainingRun run = RunIn(NewFolder());
  const absl::Status status = Train(tiny.task, run).status();
  const std::string path = run.work_dir + "/diverged.safetensors";
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  const auto file = data::SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const at::Tensor index = at::zeros({4}, at::kLong), images = at::zeros({4, 1, 4, 4}), weight = at::zeros({8, 16});
  nn::LoadOptions permitting;
  permitting.allow_unexpected = {"*"};
  const auto loaded =
      nn::LoadTensors(data::WeightFile(*file),
                      {{"batch.index", index}, {"batch.images", images}, {"parameter.weight1", weight}}, permitting);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<int64_t> order = data::EpochOrder(tiny.task.train_index, options.seed, 0);
  for (int64_t b = 0; b < 4; ++b) EXPECT_EQ(index[b].item<int64_t>(), order[static_cast<size_t>(4 + b)]);
  const auto batch = tiny.batcher->Assemble(absl::MakeConstSpan(order).subspan(4, 4), {0});
  EXPECT_TRUE(images.equal(batch->images[0]));
  EXPECT_TRUE(weight.equal(tiny.model->Parameters()[0].second));
}

// A step of batches of three, three and two is what autograd makes of the mean over all eight images.
TEST(TrainerTest, BatchesOfAStepAreAddedUp) {
  TinyOptions options;
  options.images = 8;
  options.validation = 0;
  options.dropout = 0;
  options.training = "epochs: 1 batch_size: 3 accumulate: 3 optimizer { sgd { learning_rate: 0.5 momentum: 0 } }";
  TinyTraining tiny(options);
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();

  TinyTraining fresh(options);
  const std::vector<int64_t> order = data::EpochOrder(fresh.task.train_index, options.seed, 0);
  // The objective was made from a look at two images in evaluation mode, which moves nothing.
  at::Tensor sum;
  for (const auto& [first, size] : std::vector<std::pair<size_t, size_t>>{{0, 3}, {3, 3}, {6, 2}}) {
    const auto batch = fresh.batcher->Assemble(absl::MakeConstSpan(order).subspan(first, size), {0});
    const at::Tensor logits = fresh.model->Forward(batch->images[0], {}).logits;
    const at::Tensor losses = -logits.log_softmax(1).gather(1, batch->labels.unsqueeze(1)).sum();
    sum = sum.defined() ? sum + losses : losses;
  }
  (sum / 8).backward();
  EXPECT_NEAR((*metrics)[0].loss, sum.item<double>() / 8, 1e-6);
  const auto got = tiny.model->Parameters(), before = fresh.model->Parameters();
  for (size_t i = 0; i < got.size(); ++i) {
    const at::Tensor expected = before[i].second.detach() - 0.5 * before[i].second.grad();
    EXPECT_LT((got[i].second.detach() - expected).abs().max().item<double>(), 1e-6) << got[i].first;
  }
}

// Weights of the model after each number of epochs, of one step each.
std::vector<std::string> WeightsByEpoch(TinyOptions options, int64_t epochs) {
  std::vector<std::string> weights;
  for (int64_t n = 0; n <= epochs; ++n) {
    TinyOptions shorter = options;
    shorter.training = absl::StrCat("epochs: ", n, " ", options.training);
    TinyTraining tiny(shorter);
    EXPECT_TRUE(Train(tiny.task, RunIn(NewFolder())).ok());
    weights.push_back(testing::Weights(*tiny.model));
  }
  return weights;
}

TEST(TrainerTest, AveragesAreWhatIsValidatedAndKept) {
  TinyOptions options;
  options.dropout = 0;
  options.training = "batch_size: 100 optimizer { sgd { learning_rate: 0.5 } }";
  const std::vector<std::string> weights = WeightsByEpoch(options, 4);
  options.training += " epochs: 4 ema { decay: 0.75 }";
  TinyTraining tiny(options);
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();

  const std::string got = testing::Weights(*tiny.model);
  const auto numbers = [](const std::string& bytes) { return reinterpret_cast<const float*>(bytes.data()); };
  for (size_t i = 0; i < got.size() / sizeof(float); ++i) {
    double average = numbers(weights[0])[i];
    for (size_t n = 1; n <= 4; ++n) average = 0.75 * average + 0.25 * numbers(weights[n])[i];
    ASSERT_NEAR(numbers(got)[i], average, 1e-6) << i;
  }
  const auto evaluation = Evaluate(*tiny.model, *tiny.evaluator, tiny.task.validation_index, testing::kClasses, 5);
  EXPECT_NEAR(metrics->back().validation_loss, evaluation->loss, 1e-9);
}

TEST(TrainerTest, KeepsTheBestEpoch) {
  TinyOptions options;
  options.images = 60;
  options.validation = 40;
  options.dropout = 0;
  // So fast that it overshoots.
  options.training = "batch_size: 100 optimizer { sgd { learning_rate: 2 momentum: 0.9 } }";
  const std::vector<std::string> weights = WeightsByEpoch(options, 12);
  options.training += " epochs: 12 selection { measure: VALIDATION_LOSS }";
  TinyTraining tiny(options);
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  size_t best = 0;
  for (size_t i = 1; i < 12; ++i) {
    if ((*metrics)[i].validation_loss < (*metrics)[best].validation_loss) best = i;
  }
  EXPECT_GT(best, 0);
  EXPECT_LT(best, 11) << "the last epoch is the best: the test shows nothing";
  EXPECT_EQ(testing::Weights(*tiny.model), weights[best + 1]);
}

TEST(TrainerTest, EndsWhenOutOfPatience) {
  TinyOptions options;
  options.training =
      "epochs: 30 batch_size: 4 optimizer { sgd {} } "
      "selection { arm_epoch: 4 patience: 3 min_improvement: 2 keep_best: false }";
  TinyTraining tiny(options);
  const std::string folder = NewFolder();
  const auto metrics = Train(tiny.task, RunIn(folder));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  // Nothing exceeds epoch 4, from 0, by an accuracy of 2.
  EXPECT_THAT(*metrics, SizeIs(8));
  EXPECT_EQ(tiny.model->dropped().size(), 8u * 5);
}

TEST(TrainerTest, ValidatesTheViewsThatItIsTold) {
  TinyTraining tiny;
  tiny.task.evaluator = tiny.batcher.get();
  std::vector<int64_t> epochs;
  tiny.task.validation_view = [&](int64_t epoch) {
    epochs.push_back(epoch);
    return 5;
  };
  const auto metrics = Train(tiny.task, RunIn(NewFolder()));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_THAT(epochs, ElementsAre(0, 1, 2));
  const auto loss = [&](int64_t view) {
    return Evaluate(*tiny.model, *tiny.batcher, tiny.task.validation_index, testing::kClasses, 5, absl::nullopt, view)
        ->loss;
  };
  EXPECT_NEAR(metrics->back().validation_loss, loss(5), 1e-9);
  EXPECT_NE(loss(5), loss(0));
}

TEST(TrainerTest, AGroupThatNamesNothingIsRefused) {
  TinyOptions options;
  options.training = "optimizer { adam {} group { name: 'head.*' } }";
  TinyTraining tiny(options);
  EXPECT_THAT(std::string(Train(tiny.task, RunIn(NewFolder())).status().message()),
              AllOf(HasSubstr("\"head.*\""), HasSubstr("weight1")));
}

// A teacher that must not be asked.
class SilentTeacher final : public Teacher {
 public:
  absl::Status Check(const TargetRequest&) const override {
    return absl::InvalidArgumentError("this teacher knows nothing");
  }
  absl::StatusOr<Targets> Look(const data::Batch&, const TargetRequest&) override {
    ADD_FAILURE();
    return absl::InternalError("asked");
  }
};

TEST(TrainerTest, TeacherIsAskedOnlyForWhatIsNeeded) {
  SilentTeacher silent;
  TinyTraining alone;
  alone.task.teacher = &silent;
  EXPECT_TRUE(Train(alone.task, RunIn(NewFolder())).ok());

  TinyOptions options;
  options.objective = kDistillation;
  TinyTraining tiny(options);
  const std::string weights = testing::Weights(*tiny.model);
  for (Teacher* teacher : {static_cast<Teacher*>(&silent), static_cast<Teacher*>(nullptr)}) {
    tiny.task.teacher = teacher;
    EXPECT_EQ(Train(tiny.task, RunIn(NewFolder())).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(testing::Weights(*tiny.model), weights);
}

TEST(TrainerTest, NamesTheTapsThatTheStudentHas) {
  TinyOptions options;
  options.objective = "term { attention { pair { student: \"conv9\" teacher: \"hidden\" } } }";
  const TinyTraining tiny(options);
  EXPECT_EQ(Train(tiny.task, RunIn(NewFolder())).status(),
            absl::InvalidArgumentError("the student has no tap \"conv9\"; it has hidden, map"));
}

TEST(TrainerTest, NoImagesAreRefused) {
  TinyTraining tiny;
  tiny.task.train_index.clear();
  EXPECT_EQ(Train(tiny.task, RunIn(NewFolder())).status().code(), absl::StatusCode::kInvalidArgument);
}

// Three stored views, used in turn: the student cannot tell where its targets come from.
TEST(TrainerTest, CachedTeacherGivesTheSameBitsAsTheLiveOne) {
  TinyOptions options;
  options.objective = kDistillation;
  std::string weights[2], metrics[2];
  for (const bool cached : {false, true}) {
    TinyTraining tiny(options);
    tiny.task.views_of = [](int64_t epoch, absl::Span<const int64_t> index) {
      return SameView((epoch + 1) % 3, index);
    };
    std::unique_ptr<Teacher> cached_teacher;
    if (cached) {
      cached_teacher = std::make_unique<CachedTeacher>(CacheOf(*tiny.teacher, tiny, 3, "precision: FP32"));
      tiny.task.teacher = cached_teacher.get();
    }
    const std::string folder = NewFolder();
    ASSERT_TRUE(Train(tiny.task, RunIn(folder)).ok());
    weights[cached] = testing::Weights(*tiny.model);
    metrics[cached] = Metrics(folder);
  }
  EXPECT_EQ(weights[0], weights[1]);
  EXPECT_EQ(metrics[0], metrics[1]);
}

struct ResumeCase {
  const char* name;
  const char* objective;
  const char* training;
  int64_t validation;
};

class ResumeTest : public ::testing::TestWithParam<ResumeCase> {
 protected:
  ResumeTest() {
    options_.objective = GetParam().objective;
    options_.training = GetParam().training;
    options_.validation = GetParam().validation;
  }
  int64_t Steps() const {
    TinyTraining tiny(options_);
    TrainingRun run = RunIn(NewFolder());
    int64_t steps = 0;
    run.on_progress = [&](const TrainingRun::Progress&) { ++steps; };
    EXPECT_TRUE(Train(tiny.task, run).ok());
    return steps;
  }

  TinyOptions options_;
};

TEST_P(ResumeTest, StoppedOnceAnywhere) {
  const Outcome expected = Uninterrupted(options_);
  for (int64_t stop = 0; stop < Steps(); ++stop) {
    const std::string folder = NewFolder();
    Outcome outcome;
    ASSERT_FALSE(TrainOn(options_, RunIn(folder), stop, &outcome)) << stop;
    ASSERT_TRUE(TrainOn(options_, RunIn(folder), -1, &outcome)) << stop;
    EXPECT_TRUE(outcome == expected) << "stopped after step " << stop;
  }
}

TEST_P(ResumeTest, StoppedAgainAndAgain) {
  const Outcome expected = Uninterrupted(options_);
  for (const int64_t stride : {1, 2, 3}) {
    const std::string folder = NewFolder();
    Outcome outcome;
    int64_t stops = 0;
    while (!TrainOn(options_, RunIn(folder), stride, &outcome)) {
      ASSERT_LE(++stops, Steps());
      // Stopped again at once: nothing gained, nothing lost.
      ASSERT_FALSE(TrainOn(options_, RunIn(folder), 0, &outcome));
    }
    EXPECT_EQ(stops, (Steps() - 1) / stride);
    EXPECT_TRUE(outcome == expected) << "stopped every " << stride << " steps";
  }
}

// A checkpoint at every step or none at all before the end: how a training is run never changes its result.
TEST_P(ResumeTest, CheckpointsDoNotMatter) {
  const Outcome expected = Uninterrupted(options_);
  for (const double seconds : {0.0, 1e9}) {
    TrainingRun run = RunIn(NewFolder());
    run.checkpoint_seconds = seconds;
    Outcome outcome;
    ASSERT_TRUE(TrainOn(options_, run, -1, &outcome));
    EXPECT_TRUE(outcome == expected);
  }
}

TEST_P(ResumeTest, AFinishedTrainingIsNotRepeated) {
  const TrainingRun run = RunIn(NewFolder());
  Outcome first, second;
  ASSERT_TRUE(TrainOn(options_, run, -1, &first));
  ASSERT_TRUE(TrainOn(options_, run, 0, &second));  // not one step
  EXPECT_TRUE(first == second);
  TinyTraining tiny(options_);
  EXPECT_GT(Train(tiny.task, run)->back().seconds, 0);
}

TEST_P(ResumeTest, DamagedCheckpoints) {
  const Outcome expected = Uninterrupted(options_);
  const auto damage = [](const std::string& path, int how) {
    std::string bytes = *data::ReadFile(path);
    if (how == 0) bytes[bytes.size() / 2] ^= 1;
    if (how == 1) bytes.resize(bytes.size() / 2);
    if (how == 2) bytes.clear();
    ASSERT_TRUE(data::WriteFileAtomically(path, bytes).ok());
  };
  for (int how = 0; how < 3; ++how) {
    for (const size_t count : {1, 2}) {
      TrainingRun run = RunIn(NewFolder());
      run.checkpoint_seconds = 0;
      Outcome outcome;
      ASSERT_FALSE(TrainOn(options_, run, 7, &outcome));
      std::set<std::string> checkpoints;
      for (const auto& entry : std::filesystem::directory_iterator(run.work_dir)) {
        if (absl::EndsWith(entry.path().string(), ".safetensors")) checkpoints.insert(entry.path().string());
      }
      ASSERT_THAT(checkpoints, SizeIs(2));
      auto newest = checkpoints.rbegin();
      for (size_t i = 0; i < count; ++i) damage(*newest++, how);

      std::vector<std::string> warnings;
      run.on_warning = [&](const std::string& warning) { warnings.push_back(warning); };
      ASSERT_TRUE(TrainOn(options_, run, -1, &outcome));
      EXPECT_TRUE(outcome == expected) << how;
      ASSERT_THAT(warnings, SizeIs(count));
      EXPECT_THAT(warnings[0], HasSubstr(*checkpoints.rbegin()));
    }
  }
}

TEST_P(ResumeTest, MetricsFileAheadBehindOrGone) {
  const Outcome expected = Uninterrupted(options_);
  for (const char* const change : {"ahead", "torn", "behind", "gone"}) {
    const TrainingRun run = RunIn(NewFolder());
    Outcome outcome;
    ASSERT_FALSE(TrainOn(options_, run, Steps() - 2, &outcome));
    const std::string path = run.work_dir + "/metrics.jsonl";
    if (change == std::string("ahead")) std::ofstream(path, std::ios::app) << "{\"epoch\":3}\n{\"epoch\":4}\n";
    if (change == std::string("torn")) std::ofstream(path, std::ios::app) << "{\"epo";
    if (change == std::string("behind")) std::filesystem::resize_file(path, 10);
    if (change == std::string("gone")) std::filesystem::remove(path);
    ASSERT_TRUE(TrainOn(options_, run, -1, &outcome));
    EXPECT_TRUE(outcome == expected) << change;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ResumeTest,
    ::testing::Values(
        ResumeCase{"Adam", "term { cross_entropy {} }",
                   "epochs: 3 batch_size: 4 optimizer { adam { learning_rate: 0.02 } } "
                   "schedule { warmup_epochs: 1 cosine {} } augment { crop { pad: 1 } } augment { flip {} }",
                   5},
        ResumeCase{"LearnedWeights",
                   "term { weight_schedule { learned {} } cross_entropy {} } "
                   "term { weight_schedule { learned { complement: true } } cross_entropy { label_smoothing: 0.1 } } "
                   "term { weight_schedule { linear { epochs: 3 } } distill {} }",
                   "epochs: 3 batch_size: 4 optimizer { adam { learning_rate: 0.02 } }", 0},
        ResumeCase{"AveragesBestEpochAndGroups", kDistillation,
                   "epochs: 4 batch_size: 2 accumulate: 2 ema { decay: 0.8 } selection { min_improvement: 0.01 } "
                   "optimizer { adamw { learning_rate: 0.05 } clip_norm: 0.5 decay_norms_and_biases: false "
                   "group { name: 'weight1' learning_rate_factor: 0.5 } group { name: 'bias2' frozen: true } } "
                   "schedule { per: STEP one_cycle {} }",
                   6},
        ResumeCase{"EndsEarly", "term { cross_entropy {} }",
                   "epochs: 9 batch_size: 4 optimizer { sgd {} } "
                   "selection { arm_epoch: 1 patience: 2 min_improvement: 2 }",
                   5},
        ResumeCase{"SgdDistillation", kDistillation,
                   "epochs: 2 batch_size: 4 optimizer { sgd { learning_rate: 0.1 momentum: 0.9 weight_decay: 1e-3 } }",
                   0}),
    [](const auto& instance) { return instance.param.name; });

TEST(TrainerTest, AnotherTrainingsFolderIsRefused) {
  TrainingRun run = RunIn(NewFolder());
  Outcome outcome;
  ASSERT_FALSE(TrainOn({}, run, 6, &outcome));
  const std::string metrics = Metrics(run.work_dir);
  run.identity = "another";
  TinyTraining tiny;
  EXPECT_EQ(Train(tiny.task, run).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Metrics(run.work_dir), metrics);
}

TEST(TrainerTest, AFolderThatCannotBeMadeIsNamed) {
  const std::string file = NewFolder() + "/file";
  ASSERT_TRUE(data::WriteFileAtomically(file, "x").ok());
  TinyTraining tiny;
  EXPECT_THAT(Train(tiny.task, RunIn(file + "/work")).status().message(), HasSubstr(file));
}

}  // namespace
}  // namespace retort::kd
