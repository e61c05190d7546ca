// What a target cache is worth, and what objectives cost: images a second of the PyTorch tutorial's distillation, in
// turns in one process, with
//
//   labels  cross-entropy alone
//   logits  0.75 cross-entropy + 0.25 soft cross-entropy at T = 2 with targets read from a cache
//   maps    the same + attention transfer to stored maps
//   live    logits, with a teacher that runs
//
// then where the time of a step with stored logits goes. DeepNN to LightNN, Adam, batches of 128 images of 32x32x3,
// crop and flip.
//
//   bazel run //kd:distill_benchmark -- --threads=2 --steps=20 --rounds=5
//
// Random pixels, random weights: neither changes the speed. Only the ratio carries over to other machines.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/kd/objective.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/kd/teacher.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/nn/build_model.h"
#include "retort/nn/optim/optimizer.h"
#include "retort/nn/runtime.h"

namespace retort::kd {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kBatch = 128, kClasses = 10, kSide = 32, kChannels = 3;

double Seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}
void Must(const absl::Status& status) { Must(status.ok() ? absl::StatusOr<int>(0) : absl::StatusOr<int>(status)); }

template <typename Message>
Message Parse(const char* text) {
  Message message;
  if (!google::protobuf::TextFormat::ParseFromString(text, &message)) std::exit(1);
  return message;
}

data::Dataset RandomDataset(int64_t size) {
  std::mt19937 random(1);
  std::vector<uint8_t> pixels(static_cast<size_t>(size * kSide * kSide * kChannels));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random());
  std::vector<int64_t> labels(static_cast<size_t>(size));
  for (int64_t& label : labels) label = static_cast<int64_t>(random() % kClasses);
  return Must(data::MakeDataset(std::move(pixels), std::move(labels), kSide, kSide, kChannels,
                                std::vector<std::string>(kClasses, "class")));
}

std::unique_ptr<nn::Model> Build(const char* family) {
  return Must(
      nn::BuildModel(Parse<config::Model>(family), {kChannels, kSide, kSide, kClasses}, 1, /*channels_last=*/true));
}

// Images a second of the trainer, from the end of the first step on.
double TrainOnce(TrainingTask task, const char* terms, Teacher* teacher, const std::string& folder) {
  const std::unique_ptr<nn::Model> student = Build("light_nn {}");
  Objective objective = Must(Objective::Create(Parse<config::Objective>(terms)));
  task.model = student.get();
  task.objective = &objective;
  task.teacher = teacher;
  TrainingRun run;
  run.work_dir = folder;
  std::vector<Clock::time_point> steps;
  run.on_progress = [&steps](const TrainingRun::Progress&) { steps.push_back(Clock::now()); };
  Must(Train(task, run).status());
  std::filesystem::remove_all(folder);
  return static_cast<double>((steps.size() - 1) * kBatch) / Seconds(steps.front(), steps.back());
}

// Seconds in each part of a step, shortest of `rounds`.
void PrintProfile(const TrainingTask& task, Teacher& teacher, int64_t rounds) {
  const std::unique_ptr<nn::Model> student = Build("light_nn {}");
  const auto parameters = student->Parameters();
  const auto optimizer = nn::BuildOptimizer(task.training.optimizer(), parameters).value();
  const std::vector<int64_t> index(task.train_index.begin(), task.train_index.begin() + kBatch);
  const std::vector<const char*> names = {"assemble", "targets", "forward", "objective", "backward", "optimizer"};
  std::vector<double> best(names.size(), 1e9);
  for (int64_t round = 0; round < rounds; ++round) {
    std::vector<Clock::time_point> times = {Clock::now()};
    const auto lap = [&times] { times.push_back(Clock::now()); };
    const data::Batch batch = Must(task.batcher->Assemble(index, {round}));
    lap();
    Step step;
    step.labels = batch.labels;
    data::Batch first_view = batch;
    first_view.view = batch.view.mul(0);
    step.teacher = Must(teacher.Look(first_view, task.objective->needs().targets));
    lap();
    step.student = student->Forward(batch.images.flatten(0, 1), {});
    lap();
    const Objective::Loss loss = Must(task.objective->Compute(step));
    lap();
    nn::ZeroGrad(parameters);
    loss.total.backward();
    lap();
    optimizer->Step(1);
    lap();
    for (size_t i = 0; i < names.size(); ++i) best[i] = std::min(best[i], Seconds(times[i], times[i + 1]));
  }
  std::printf("\npart of a step with stored logits, shortest of %d\n", static_cast<int>(rounds));
  for (size_t i = 0; i < names.size(); ++i) std::printf("  %-10s %8.3f ms\n", names[i], 1e3 * best[i]);
}

constexpr char kLabels[] = "term { cross_entropy {} }";
constexpr char kLogits[] =
    "term { weight: 0.75 cross_entropy {} } term { weight: 0.25 distill { temperature: 2 form: SOFT_CROSS_ENTROPY } }";
constexpr char kMaps[] =
    "term { weight: 0.75 cross_entropy {} } term { weight: 0.25 distill { temperature: 2 form: SOFT_CROSS_ENTROPY } } "
    "term { weight: 0.25 attention { pair { student: 'features' teacher: 'features' } form: MEAN_SQUARE pooling: MAP } "
    "}";

int Main(int64_t threads, int64_t steps, int64_t rounds) {
  nn::ConfigureRuntime(static_cast<int>(threads));
  const data::Dataset dataset = RandomDataset((steps + 1) * kBatch);
  const auto training = Parse<config::Training>(
      "epochs: 1 batch_size: 128 optimizer { adam {} } augment { crop {} } augment { flip {} }");
  Objective logits = Must(Objective::Create(Parse<config::Objective>(kLogits)));
  const data::Batcher batcher =
      Must(data::Batcher::Create(&dataset, Must(data::ViewPlan::Create(training.augment(), 1)),
                                 {{0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}}, data::Batcher::Layout::kChannelsLast));
  std::string folder = "/tmp/distill_benchmark_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;

  TrainingTask task;
  task.objective = &logits;
  task.dataset = &dataset;
  task.batcher = &batcher;
  for (int64_t i = 0; i < dataset.size; ++i) task.train_index.push_back(i);
  task.views_of = [](int64_t, absl::Span<const int64_t> index) { return SameView(0, index); };
  task.training = training;

  LiveTeacher live(Build("deep_nn {}"));
  const auto contents = Parse<config::StoredTargets>("map: 'features'");
  TargetShardBuilder builder(contents, {"benchmark", 0, 0, dataset.size});
  for (int64_t first = 0; first < dataset.size; first += kBatch) {
    const data::Batch batch = Must(batcher.Assemble(absl::MakeConstSpan(task.train_index).subspan(first, kBatch), {0}));
    Must(builder.Append(Must(live.Look(batch, RequestFor(contents))), batch.labels));
  }
  Must(builder.Write(folder + "/targets"));
  CachedTeacher cached(Must(TargetCache::Open({{0, "benchmark", {folder + "/targets"}}})));

  std::map<std::string, std::vector<double>> figures;
  for (int64_t round = -1; round < rounds; ++round) {  // the first one warms up
    const double of_labels = TrainOnce(task, kLabels, nullptr, folder + "/work");
    const double of_logits = TrainOnce(task, kLogits, &cached, folder + "/work");
    const double of_maps = TrainOnce(task, kMaps, &cached, folder + "/work");
    const double of_live = TrainOnce(task, kLogits, &live, folder + "/work");
    if (round < 0 && rounds > 1) continue;
    figures["labels, images/s"].push_back(of_labels);
    figures["logits, images/s"].push_back(of_logits);
    figures["maps, images/s"].push_back(of_maps);
    figures["live, images/s"].push_back(of_live);
    figures["ratio of logits to labels"].push_back(of_logits / of_labels);
    figures["ratio of maps to logits"].push_back(of_maps / of_logits);
    figures["ratio of logits to live"].push_back(of_logits / of_live);
  }
  std::printf("%d threads, %d rounds of %d steps: median (least to most)\n", static_cast<int>(threads),
              static_cast<int>(rounds), static_cast<int>(steps));
  for (auto& [name, values] : figures) {
    std::sort(values.begin(), values.end());
    std::printf("  %-26s %10.3f (%.3f to %.3f)\n", name.c_str(), values[values.size() / 2], values.front(),
                values.back());
  }
  PrintProfile(task, cached, 2 * steps);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace retort::kd

int main(int argc, char** argv) {
  int64_t threads = 2, steps = 20, rounds = 5;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    const bool known = (absl::ConsumePrefix(&argument, "--threads=") && absl::SimpleAtoi(argument, &threads)) ||
                       (absl::ConsumePrefix(&argument, "--steps=") && absl::SimpleAtoi(argument, &steps)) ||
                       (absl::ConsumePrefix(&argument, "--rounds=") && absl::SimpleAtoi(argument, &rounds));
    if (!known || threads < 1 || steps < 2 || rounds < 1) {
      std::fprintf(stderr, "usage: %s [--threads=N] [--steps=N] [--rounds=N]\n", argv[0]);
      return 64;
    }
  }
  return retort::kd::Main(threads, steps, rounds);
}
