#include "retort/kd/trainer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <mutex>
#include <utility>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/from_blob.h"
#include "ATen/ops/full.h"
#include "ATen/ops/isfinite.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/split.h"
#include "retort/kd/checkpoint.h"
#include "retort/nn/optimizer.h"

namespace retort::kd {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Epochs shorter than this share a checkpoint.
constexpr double kShortEpochSeconds = 1;

// Columns of State::rows; a column for every term follows.
enum Column { kLearningRate, kLoss, kAccuracy, kValidationLoss, kValidationAccuracy, kParts };

// Where a training stands, beside its model and optimiser.
struct State {
  int64_t epoch = 0;  // complete ones
  int64_t step = 0;   // done of the epoch under way
  double seconds = 0;
  // [epochs, columns] measures of every epoch: means of complete ones, sums over the images so far of the one under
  // way.
  int64_t columns;
  std::vector<double> rows;

  State(int64_t epochs, int64_t parts) : columns(kParts + parts), rows(epochs * columns) {}

  absl::Span<double> row() { return absl::MakeSpan(rows).subspan(epoch * columns, columns); }

  // Views of the members, for a checkpoint.
  std::vector<nn::NamedTensor> Tensors() {
    return {{"training.epoch", at::from_blob(&epoch, {1}, at::kLong)},
            {"training.step", at::from_blob(&step, {1}, at::kLong)},
            {"training.seconds", at::from_blob(&seconds, {1}, at::kDouble)},
            {"training.rows", at::from_blob(rows.data(), {static_cast<int64_t>(rows.size())}, at::kDouble)}};
  }

  // Of a complete epoch, from 0.
  EpochMetrics Metrics(int64_t index) const {
    const double* const row = rows.data() + index * columns;
    EpochMetrics metrics;
    metrics.epoch = index + 1;
    metrics.learning_rate = row[kLearningRate];
    metrics.loss = row[kLoss];
    metrics.parts.assign(row + kParts, row + columns);
    metrics.accuracy = row[kAccuracy];
    metrics.validation_loss = row[kValidationLoss];
    metrics.validation_accuracy = row[kValidationAccuracy];
    return metrics;
  }
};

// A line of metrics.jsonl. Numbers are the shortest that read back as the same bits.
std::string MetricsLine(const EpochMetrics& metrics, const std::vector<std::string>& names) {
  nlohmann::ordered_json line = {
      {"epoch", metrics.epoch}, {"learning_rate", metrics.learning_rate}, {"loss", metrics.loss}};
  for (size_t i = 0; i < names.size(); ++i) line["parts"][names[i]] = metrics.parts[i];
  line["accuracy"] = metrics.accuracy;
  if (!std::isnan(metrics.validation_loss)) {
    line["validation_loss"] = metrics.validation_loss;
    line["validation_accuracy"] = metrics.validation_accuracy;
  }
  return line.dump() + "\n";
}

// Everything that the next step depends on.
std::vector<nn::NamedTensor> Everything(const nn::Model& model, const Objective& objective,
                                        const nn::Optimizer& optimizer, State& state) {
  std::vector<nn::NamedTensor> all = state.Tensors();
  const auto add = [&all](const char* group, const std::vector<nn::NamedTensor>& tensors) {
    for (const auto& [name, tensor] : tensors) all.emplace_back(absl::StrCat(group, name), tensor);
  };
  add("parameter.", model.Parameters());
  add("buffer.", model.Buffers());
  add("objective.parameter.", objective.Parameters());
  add("objective.buffer.", objective.Buffers());
  add("optimizer.", optimizer.State());
  return all;
}

absl::Status CheckTask(const TrainingTask& task) {
  if (task.train_index.empty()) {
    return absl::InvalidArgumentError("there is no image to train on; lower validation.fraction");
  }
  const Needs& needs = task.objective->needs();
  RETORT_RETURN_IF_ERROR(nn::CheckRequest(*task.model, needs.student, "student"));
  if (!needs.teacher()) return absl::OkStatus();
  if (task.teacher == nullptr) return absl::InvalidArgumentError("the objective reads a teacher, and there is none");
  return task.teacher->Check(needs.targets);
}

double BaseLearningRate(const config::Optimizer& optimizer) {
  switch (optimizer.optimizer_case()) {
    case config::Optimizer::kAdam:
      return optimizer.adam().learning_rate();
    case config::Optimizer::kSgd:
      return optimizer.sgd().learning_rate();
    case config::Optimizer::OPTIMIZER_NOT_SET:
      break;
  }
  return kNaN;
}

// Makes dropout a function of its arguments. LibTorch's generator keeps 32 bits of a seed, so all of them are mixed
// into those (the finaliser of Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
void SeedDropout(uint64_t seed, int64_t epoch, int64_t step) {
  uint64_t hash = 0;
  for (const uint64_t word : {seed, static_cast<uint64_t>(epoch), static_cast<uint64_t>(step)}) {
    hash = (hash ^ word) + 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
    hash ^= hash >> 31;
  }
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(hash);
}

// What one batch measured.
struct Measures {
  double loss;
  double accuracy;
  std::vector<double> parts;
};

// Both sides' view of a batch.
absl::StatusOr<Step> LookAt(const TrainingTask& task, absl::Span<const int64_t> index, int64_t epoch) {
  const at::Tensor view = task.views_of(epoch, index);
  const int64_t rows = view.size(0);
  RETORT_ASSIGN_OR_RETURN(const data::Batch batch,
                          task.batcher->AssembleEach(index, view, at::arange(epoch * rows, (epoch + 1) * rows)));
  const Needs& needs = task.objective->needs();
  const int64_t views = batch.view.size(0);
  Step step;
  step.epoch = epoch;
  step.images = batch.images.flatten(0, 1);
  step.labels = batch.labels.repeat({views});
  step.index = batch.index.repeat({views});
  if (batch.lambda.defined()) {
    step.lambda = batch.lambda.flatten();
    step.partner_labels = batch.partner_labels.flatten();
  }
  if (needs.teacher()) {
    RETORT_ASSIGN_OR_RETURN(step.teacher, task.teacher->Look(batch, needs.targets));
  }
  if (needs.student_image_gradient) step.images.set_requires_grad(true);
  step.student = task.model->Forward(step.images, needs.student);
  return step;
}

// Makes the objective's learnable parts. The model is left as it was.
absl::Status PrepareObjective(const TrainingTask& task) {
  const size_t size = std::min<size_t>(2, task.train_index.size());
  SeedDropout(task.seed, /*epoch=*/-1, /*step=*/0);
  task.model->SetTraining(false);
  RETORT_ASSIGN_OR_RETURN(const Step step,
                          LookAt(task, absl::MakeConstSpan(task.train_index).subspan(0, size), /*epoch=*/0));
  return task.objective->Prepare(step, task.dataset->size);
}

// Forward, and backward unless the loss is not finite.
absl::StatusOr<Measures> Learn(const TrainingTask& task, absl::Span<const int64_t> index, int64_t epoch) {
  RETORT_ASSIGN_OR_RETURN(const Step step, LookAt(task, index, epoch));
  RETORT_ASSIGN_OR_RETURN(const Objective::Loss loss, task.objective->Compute(step));

  Measures measures;
  measures.loss = loss.total.item<double>();
  for (const at::Tensor& part : loss.parts) measures.parts.push_back(part.item<double>());
  const at::Tensor correct = step.student.logits.argmax(1).eq(step.labels).sum();
  measures.accuracy = correct.item<double>() / static_cast<double>(step.labels.size(0));
  if (std::isfinite(measures.loss)) loss.total.backward();
  return measures;
}

constexpr char kRemedy[] = "; lower learning_rate, warm up, or look for wrong values in data and targets";

absl::Status CheckFinite(const std::vector<nn::NamedTensor>& parameters, int64_t epoch) {
  for (const auto& [name, parameter] : parameters) {
    if (!at::isfinite(parameter).all().item<bool>()) {
      return absl::DataLossError(
          absl::StrCat("parameter ", name, " is NaN or infinite after epoch ", epoch + 1, kRemedy));
    }
  }
  return absl::OkStatus();
}

// What the optimiser moves: the model's parameters, and the objective's.
std::vector<nn::NamedTensor> Trained(const TrainingTask& task) {
  std::vector<nn::NamedTensor> all = task.model->Parameters();
  for (const auto& [name, parameter] : task.objective->Parameters()) {
    all.emplace_back(absl::StrCat("objective.", name), parameter);
  }
  return all;
}

class Trainer {
 public:
  Trainer(const TrainingTask& task, const TrainingRun& run)
      : task_(task),
        run_(run),
        names_(task.objective->names()),
        epochs_(task.training.epochs()),
        images_(static_cast<int64_t>(task.train_index.size())),
        batch_size_(task.training.batch_size()),
        steps_((images_ + batch_size_ - 1) / batch_size_),
        parameters_(Trained(task)),
        optimizer_(nn::BuildOptimizer(task.training.optimizer(), parameters_)),
        state_(epochs_, static_cast<int64_t>(names_.size())),
        everything_(Everything(*task.model, *task.objective, *optimizer_, state_)),
        checkpoints_(run.work_dir, run.identity, run.on_warning) {
    task.model->SetTraining(true);
  }
  Trainer(const Trainer&) = delete;  // everything_ points into state_
  Trainer& operator=(const Trainer&) = delete;

  absl::StatusOr<std::vector<EpochMetrics>> Run() {
    RETORT_RETURN_IF_ERROR(Resume());
    while (state_.epoch < epochs_) RETORT_RETURN_IF_ERROR(RunEpoch());
    return History();
  }

 private:
  absl::Status Resume() {
    RETORT_RETURN_IF_ERROR(data::MakeDirectories(run_.work_dir));
    RETORT_RETURN_IF_ERROR(checkpoints_.Load(everything_).status());
    start_ = Clock::now();
    seconds_before_ = saved_ = state_.seconds;
    // The checkpoint knows all complete epochs; lines that were written after it are dropped and will be written again.
    std::string lines;
    for (const EpochMetrics& metrics : History()) lines += MetricsLine(metrics, names_);
    const std::string path = absl::StrCat(run_.work_dir, "/metrics.jsonl");
    RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(path, lines));
    metrics_.open(path, std::ios::app);
    return metrics_ ? absl::OkStatus() : data::ErrnoStatus(errno, "open", path);
  }

  absl::Status RunEpoch() {
    const double factor = nn::LearningRateFactor(task_.training.schedule(), state_.epoch, epochs_);
    const std::vector<int64_t> order = data::EpochOrder(task_.train_index, task_.seed, state_.epoch);
    while (state_.step < steps_) {
      if (run_.stop_requested && run_.stop_requested()) {
        RETORT_RETURN_IF_ERROR(Save());
        return absl::CancelledError(absl::StrCat("training stopped on request in ", Place(),
                                                 "; run the same command again to go on from there"));
      }
      const auto batch = [&](int64_t step) {
        return absl::MakeConstSpan(order).subspan(static_cast<size_t>(std::min(step * batch_size_, images_)),
                                                  static_cast<size_t>(batch_size_));
      };
      const absl::Span<const int64_t> index = batch(state_.step);
      Announce(batch(state_.step + 1));
      SeedDropout(task_.seed, state_.epoch, state_.step);
      nn::ZeroGrad(parameters_);
      RETORT_ASSIGN_OR_RETURN(const Measures measures, Learn(task_, index, state_.epoch));
      if (!std::isfinite(measures.loss)) return Diverged(measures);
      optimizer_->Step(factor);
      Add(measures, static_cast<double>(index.size()));
      if (SecondsSinceSave() >= run_.checkpoint_seconds) RETORT_RETURN_IF_ERROR(Save());
    }
    RETORT_RETURN_IF_ERROR(CheckFinite(parameters_, state_.epoch));
    RETORT_RETURN_IF_ERROR(CloseEpoch(factor));
    const bool save = state_.epoch == epochs_ || SecondsSinceSave() >= kShortEpochSeconds;
    return save ? Save() : absl::OkStatus();
  }

  // Before the step that comes first, so that the disk works meanwhile.
  void Announce(absl::Span<const int64_t> index) {
    if (task_.teacher == nullptr || index.empty()) return;
    const auto size = static_cast<int64_t>(index.size());
    task_.teacher->Announce(at::from_blob(const_cast<int64_t*>(index.data()), {size}, at::kLong),
                            task_.views_of(state_.epoch, index));
  }

  // After a step.
  void Add(const Measures& measures, double images) {
    const absl::Span<double> row = state_.row();
    row[kLoss] += measures.loss * images;
    row[kAccuracy] += measures.accuracy * images;
    for (size_t i = 0; i < measures.parts.size(); ++i) row[kParts + i] += measures.parts[i] * images;
    ++state_.step;
    const int64_t done = std::min(state_.step * batch_size_, images_);
    if (run_.on_progress) {
      run_.on_progress({state_.epoch, epochs_, state_.epoch * images_ + done, epochs_ * images_,
                        row[kLoss] / static_cast<double>(done), Seconds()});
    }
  }

  absl::Status CloseEpoch(double factor) {
    const absl::Span<double> row = state_.row();
    for (double& sum : row) sum /= static_cast<double>(images_);
    row[kLearningRate] = factor * BaseLearningRate(task_.training.optimizer());
    row[kValidationLoss] = row[kValidationAccuracy] = kNaN;
    if (!task_.validation_index.empty()) {
      RETORT_ASSIGN_OR_RETURN(const Evaluation evaluation,
                              Evaluate(*task_.model, *task_.evaluator, task_.validation_index,
                                       static_cast<int64_t>(task_.dataset->class_names.size()), batch_size_));
      row[kValidationLoss] = evaluation.loss;
      row[kValidationAccuracy] = evaluation.accuracy;
    }
    metrics_ << MetricsLine(state_.Metrics(state_.epoch), names_) << std::flush;
    if (!metrics_) return data::ErrnoStatus(errno, "write", absl::StrCat(run_.work_dir, "/metrics.jsonl"));
    state_.step = 0;
    ++state_.epoch;
    return absl::OkStatus();
  }

  absl::Status Save() {
    state_.seconds = saved_ = Seconds();
    // Closing an epoch counts as a step.
    return checkpoints_.Save(state_.epoch * (steps_ + 1) + state_.step, everything_);
  }

  std::vector<EpochMetrics> History() const {
    std::vector<EpochMetrics> history;
    for (int64_t i = 0; i < state_.epoch; ++i) history.push_back(state_.Metrics(i));
    return history;
  }

  absl::Status Diverged(const Measures& measures) const {
    std::vector<std::string> parts;
    for (size_t i = 0; i < names_.size(); ++i) parts.push_back(absl::StrCat(names_[i], " = ", measures.parts[i]));
    return absl::DataLossError(absl::StrCat("the loss became ", measures.loss, " in ", Place(), " (",
                                            absl::StrJoin(parts, ", "), ")", kRemedy));
  }

  // Of the next step, counted from 1.
  std::string Place() const {
    return absl::StrCat("epoch ", state_.epoch + 1, ", step ", state_.step + 1, " of ", steps_);
  }

  double Seconds() const { return seconds_before_ + std::chrono::duration<double>(Clock::now() - start_).count(); }
  double SecondsSinceSave() const { return Seconds() - saved_; }

  using Clock = std::chrono::steady_clock;

  const TrainingTask& task_;
  const TrainingRun& run_;
  const std::vector<std::string> names_;
  const int64_t epochs_;
  const int64_t images_;
  const int64_t batch_size_;
  const int64_t steps_;  // of an epoch
  const std::vector<nn::NamedTensor> parameters_;
  const std::unique_ptr<nn::Optimizer> optimizer_;
  State state_;
  const std::vector<nn::NamedTensor> everything_;
  Checkpoints checkpoints_;
  std::ofstream metrics_;
  Clock::time_point start_;
  double seconds_before_ = 0;
  double saved_ = 0;  // Seconds() of the last checkpoint
};

}  // namespace

at::Tensor SameView(int64_t number, absl::Span<const int64_t> index) {
  return at::full({1, static_cast<int64_t>(index.size())}, number, at::kLong);
}

absl::StatusOr<std::vector<EpochMetrics>> Train(const TrainingTask& task, const TrainingRun& run) {
  RETORT_RETURN_IF_ERROR(CheckTask(task));
  RETORT_RETURN_IF_ERROR(PrepareObjective(task));
  return Trainer(task, run).Run();
}

}  // namespace retort::kd
