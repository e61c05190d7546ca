#include "retort/kd/trainer/trainer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <mutex>
#include <utility>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/from_blob.h"
#include "ATen/ops/full.h"
#include "ATen/ops/isfinite.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/split.h"
#include "retort/kd/trainer/checkpoint.h"
#include "retort/nn/optim/model_copy.h"
#include "retort/nn/optim/optimizer.h"
#include "retort/nn/optim/schedule.h"
#include "retort/nn/weights.h"

namespace retort::kd {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Epochs shorter than this share a checkpoint.
constexpr double kShortEpochSeconds = 1;

// Columns of State::rows; a column for every term follows.
enum Column { kSeconds, kLearningRate, kLoss, kAccuracy, kValidationLoss, kValidationAccuracy, kParts };

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
    metrics.seconds = row[kSeconds];
    metrics.learning_rate = row[kLearningRate];
    metrics.loss = row[kLoss];
    metrics.parts.assign(row + kParts, row + columns);
    metrics.accuracy = row[kAccuracy];
    metrics.validation_loss = row[kValidationLoss];
    metrics.validation_accuracy = row[kValidationAccuracy];
    return metrics;
  }
};

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
  const absl::Cleanup restore = [&] { task.model->SetTraining(true); };
  RETORT_ASSIGN_OR_RETURN(const Step step,
                          LookAt(task, absl::MakeConstSpan(task.train_index).subspan(0, size), /*epoch=*/0));
  return task.objective->Prepare(step, task.dataset->size);
}

constexpr char kRemedy[] = "; lower learning_rate, warm up, or look for wrong values in data and targets";

absl::Status CheckFinite(const std::vector<nn::NamedTensor>& tensors, int64_t epoch) {
  for (const auto& [name, tensor] : tensors) {
    if (at::isfinite(tensor).all().item<bool>()) continue;
    return absl::DataLossError(absl::StrCat(name, " is NaN or infinite after epoch ", epoch + 1, kRemedy));
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
  Trainer(const TrainingTask& task, const TrainingRun& run, std::unique_ptr<nn::Optimizer> optimizer)
      : task_(task),
        run_(run),
        config_(task.training),
        names_(task.objective->names()),
        images_(static_cast<int64_t>(task.train_index.size())),
        step_images_(int64_t{config_.batch_size()} * config_.accumulate()),
        steps_((images_ + step_images_ - 1) / step_images_),
        parameters_(Trained(task)),
        optimizer_(std::move(optimizer)),
        state_(config_.epochs(), static_cast<int64_t>(names_.size())),
        checkpoints_(run.work_dir, run.identity, run.on_warning) {
    if (config_.has_ema()) average_.emplace(*task.model);
    if (config_.has_selection() && config_.selection().keep_best()) best_.emplace(*task.model);
    everything_ = Everything();
  }
  Trainer(const Trainer&) = delete;  // everything_ points into state_
  Trainer& operator=(const Trainer&) = delete;

  absl::StatusOr<std::vector<EpochMetrics>> Run() {
    RETORT_RETURN_IF_ERROR(Resume());
    while (!Finished()) RETORT_RETURN_IF_ERROR(RunEpoch());
    const std::vector<EpochMetrics> history = History();
    if (best_.has_value() && BestEpoch(config_.selection(), history) >= 0) {
      best_->Exchange();
    } else if (average_.has_value()) {
      average_->Exchange();
    }
    return history;
  }

 private:
  // All that the next step depends on.
  std::vector<nn::NamedTensor> Everything() {
    std::vector<nn::NamedTensor> all = state_.Tensors();
    const auto add = [&all](const char* group, const std::vector<nn::NamedTensor>& tensors) {
      for (const auto& [name, tensor] : tensors) all.emplace_back(absl::StrCat(group, name), tensor);
    };
    add("parameter.", task_.model->Parameters());
    add("buffer.", task_.model->Buffers());
    add("objective.parameter.", task_.objective->Parameters());
    add("objective.buffer.", task_.objective->Buffers());
    add("optimizer.", optimizer_->State());
    if (average_.has_value()) add("average.", average_->State());
    if (best_.has_value()) add("best.", best_->State());
    return all;
  }

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

  bool Finished() const {
    return state_.epoch == config_.epochs() ||
           (config_.has_selection() && OutOfPatience(config_.selection(), History()));
  }

  absl::Status RunEpoch() {
    const std::vector<int64_t> order = data::EpochOrder(task_.train_index, task_.seed, state_.epoch);
    const auto images_of = [&](int64_t step) {
      return absl::MakeConstSpan(order).subspan(static_cast<size_t>(std::min(step * step_images_, images_)),
                                                static_cast<size_t>(step_images_));
    };
    while (state_.step < steps_) {
      if (run_.stop_requested && run_.stop_requested()) {
        RETORT_RETURN_IF_ERROR(Save());
        return absl::CancelledError(absl::StrCat("training stopped on request in ", Place(),
                                                 "; run the same command again to go on from there"));
      }
      Announce(images_of(state_.step + 1));
      RETORT_RETURN_IF_ERROR(TakeStep(images_of(state_.step)));
      if (SecondsSinceSave() >= run_.checkpoint_seconds) RETORT_RETURN_IF_ERROR(Save());
    }
    RETORT_RETURN_IF_ERROR(CheckFinite(parameters_, state_.epoch));
    RETORT_RETURN_IF_ERROR(CheckFinite(task_.model->Buffers(), state_.epoch));
    RETORT_RETURN_IF_ERROR(CloseEpoch());
    return Finished() || SecondsSinceSave() >= kShortEpochSeconds ? Save() : absl::OkStatus();
  }

  // Before the step that comes first, so that the disk works meanwhile.
  void Announce(absl::Span<const int64_t> index) {
    if (!task_.objective->needs().teacher() || index.empty()) return;
    const auto size = static_cast<int64_t>(index.size());
    task_.teacher->Announce(at::from_blob(const_cast<int64_t*>(index.data()), {size}, at::kLong),
                            task_.views_of(state_.epoch, index));
  }

  absl::Status TakeStep(absl::Span<const int64_t> index) {
    const double factor =
        nn::LearningRateFactor(config_.schedule(), {state_.epoch, config_.epochs(), state_.step, steps_});
    if (state_.step == 0) state_.row()[kLearningRate] = factor * nn::LearningRate(config_.optimizer());
    SeedDropout(task_.seed, state_.epoch, state_.step);
    nn::ZeroGrad(parameters_);
    const auto batch_size = static_cast<size_t>(config_.batch_size());
    for (size_t first = 0; first < index.size(); first += batch_size) {
      RETORT_RETURN_IF_ERROR(Learn(index.subspan(first, batch_size), static_cast<double>(index.size())));
    }
    optimizer_->Step(factor);
    if (average_.has_value()) average_->MoveTowardsModel(1 - config_.ema().decay());
    ++state_.step;
    if (run_.on_progress) run_.on_progress(ProgressNow());
    return absl::OkStatus();
  }

  // Forward and backward of a batch that is part of a step of `images`.
  absl::Status Learn(absl::Span<const int64_t> index, double images) {
    RETORT_ASSIGN_OR_RETURN(const Step step, LookAt(task_, index, state_.epoch));
    RETORT_ASSIGN_OR_RETURN(const Objective::Loss loss, task_.objective->Compute(step));
    const double total = loss.total.item<double>(), share = static_cast<double>(index.size());
    if (!std::isfinite(total)) return Diverged(step, loss);
    (loss.total * (share / images)).backward();

    const absl::Span<double> row = state_.row();
    row[kLoss] += total * share;
    const at::Tensor correct = step.student.logits.argmax(1).eq(step.labels).sum();
    row[kAccuracy] += correct.item<double>() / static_cast<double>(step.labels.size(0)) * share;
    for (size_t i = 0; i < loss.parts.size(); ++i) row[kParts + i] += loss.parts[i].item<double>() * share;
    return absl::OkStatus();
  }

  TrainingRun::Progress ProgressNow() {
    const absl::Span<const double> row = state_.row();
    const int64_t done = std::min(state_.step * step_images_, images_);
    TrainingRun::Progress progress;
    progress.epoch = state_.epoch;
    progress.epochs = config_.epochs();
    progress.images_done = state_.epoch * images_ + done;
    progress.images_total = config_.epochs() * images_;
    progress.loss = row[kLoss] / static_cast<double>(done);
    for (const double sum : row.subspan(kParts)) progress.parts.push_back(sum / static_cast<double>(done));
    progress.seconds = Seconds();
    return progress;
  }

  // The averages, where there are such, are what is validated and kept.
  absl::Status CloseEpoch() {
    if (average_.has_value()) average_->Exchange();
    const absl::Span<double> row = state_.row();
    for (double& sum : row.subspan(kLoss)) sum /= static_cast<double>(images_);
    row[kValidationLoss] = row[kValidationAccuracy] = kNaN;
    if (!task_.validation_index.empty()) {
      RETORT_ASSIGN_OR_RETURN(const Evaluation evaluation,
                              Evaluate(*task_.model, *task_.evaluator, task_.validation_index,
                                       static_cast<int64_t>(task_.dataset->class_names.size()), config_.batch_size(),
                                       /*teacher=*/absl::nullopt, task_.validation_view(state_.epoch)));
      row[kValidationLoss] = evaluation.loss;
      row[kValidationAccuracy] = evaluation.accuracy;
    }
    row[kSeconds] = Seconds();
    metrics_ << MetricsLine(state_.Metrics(state_.epoch), names_) << std::flush;
    if (!metrics_) return data::ErrnoStatus(errno, "write", absl::StrCat(run_.work_dir, "/metrics.jsonl"));
    state_.step = 0;
    ++state_.epoch;
    if (best_.has_value() && BestEpoch(config_.selection(), History()) == state_.epoch - 1) {
      best_->MoveTowardsModel(1);
    }
    if (average_.has_value()) average_->Exchange();
    return run_.on_epoch ? run_.on_epoch(state_.Metrics(state_.epoch - 1)) : absl::OkStatus();
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

  absl::Status Diverged(const Step& step, const Objective::Loss& loss) const {
    std::vector<std::string> parts;
    for (size_t i = 0; i < names_.size(); ++i) {
      parts.push_back(absl::StrCat(names_[i], " = ", loss.parts[i].item<double>()));
    }
    std::vector<nn::NamedTensor> replay = everything_;
    replay.emplace_back("batch.index", step.index);
    replay.emplace_back("batch.images", step.images.detach());
    const std::string path = absl::StrCat(run_.work_dir, "/diverged.safetensors");
    const absl::Status saved = nn::SaveTensors(path, replay, /*metadata=*/{});
    return absl::DataLossError(absl::StrCat(
        "the loss became ", loss.total.item<double>(), " in ", Place(), " (", absl::StrJoin(parts, ", "), "); ",
        saved.ok() ? "the batch and all that the step began with are in " : "they could not be written to ", path,
        kRemedy));
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
  const config::Training& config_;
  const std::vector<std::string> names_;
  const int64_t images_;
  const int64_t step_images_;
  const int64_t steps_;  // of an epoch
  const std::vector<nn::NamedTensor> parameters_;
  const std::unique_ptr<nn::Optimizer> optimizer_;
  State state_;
  absl::optional<nn::ModelCopy> average_;
  absl::optional<nn::ModelCopy> best_;
  std::vector<nn::NamedTensor> everything_;
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
  RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Optimizer> optimizer,
                          nn::BuildOptimizer(task.training.optimizer(), Trained(task)));
  return Trainer(task, run, std::move(optimizer)).Run();
}

}  // namespace retort::kd
