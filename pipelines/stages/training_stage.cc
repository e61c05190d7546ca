#include "retort/pipelines/stages/training_stage.h"

#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/split.h"
#include "retort/kd/evaluate.h"
#include "retort/kd/objective.h"
#include "retort/kd/presets/presets.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/nn/build_model.h"
#include "retort/nn/initial_weights.h"
#include "retort/pipelines/payload/evaluation_json.h"
#include "retort/pipelines/payload/model_costs.h"
#include "retort/pipelines/payload/projector.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/progress/event_file.h"
#include "retort/pipelines/progress/progress.h"
#include "retort/pipelines/stages/inputs.h"
#include "retort/pipelines/stages/seed.h"

namespace retort::pipelines {

namespace {

// Points of TensorBoard's curves, whose steps are epochs, from 1.
absl::Status WriteCurves(const StageContext& context, const kd::EpochMetrics& metrics,
                         const std::vector<std::string>& terms, std::unique_ptr<EventFile>* events) {
  const config::Pipeline& pipeline = *context.pipeline;
  if (!pipeline.deployment().has_tensorboard()) return absl::OkStatus();
  if (*events == nullptr) {
    RETORT_ASSIGN_OR_RETURN(
        *events, EventFile::Create(absl::StrCat(pipeline.deployment().tensorboard(), "/", pipeline.name(), "/",
                                                context.stage->name(), "/", context.replicate),
                                   metrics.epoch));
  }
  std::vector<std::pair<std::string, double>> points = {
      {"train/loss", metrics.loss}, {"train/accuracy", metrics.accuracy}, {"learning_rate", metrics.learning_rate}};
  for (size_t i = 0; i < terms.size(); ++i) points.emplace_back(absl::StrCat("terms/", terms[i]), metrics.parts[i]);
  if (!std::isnan(metrics.validation_loss)) {
    points.emplace_back("validation/loss", metrics.validation_loss);
    points.emplace_back("validation/accuracy", metrics.validation_accuracy);
  }
  return (*events)->AddScalars(metrics.epoch, absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()),
                               std::vector<std::pair<absl::string_view, double>>(points.begin(), points.end()));
}

}  // namespace

absl::StatusOr<data::ViewPlan> FreshViews(const StageContext& context, const config::Training& train) {
  return data::ViewPlan::Create(train.augment(), DeriveSeed(context.seed, "augment"));
}

absl::StatusOr<StageOutput> RunTraining(const StageContext& context, const TrainingSetup& setup) {
  const data::Dataset& dataset = setup.splits.train;
  const nn::ModelShape shape = ShapeOf(dataset, setup.plan);
  RETORT_ASSIGN_OR_RETURN(const data::ViewPlan test_views, TestViews(setup.train->test_augment()));
  RETORT_ASSIGN_OR_RETURN(const data::ChannelStatistics normalization,
                          ResolveNormalization(setup.train->normalize(), dataset));
  RETORT_ASSIGN_OR_RETURN(const data::Batcher batcher, MakeBatcher(context, &dataset, setup.plan, normalization));
  RETORT_ASSIGN_OR_RETURN(const data::Batcher tester,
                          MakeBatcher(context, &setup.splits.test, test_views, normalization));
  RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Model> model,
                          nn::BuildModel(*setup.model, shape, context.seed, ChannelsLast(context)));
  if (const config::InitialWeights* weights = InitialWeightsOf(*context.stage); weights != nullptr) {
    RETORT_ASSIGN_OR_RETURN(const nn::LoadReport report,
                            nn::LoadInitialWeights(*weights, context.weights_sha256, model.get()));
    for (const std::string& line : report.Lines()) std::cerr << "initial weights: " << line << "\n";
  }
  if (const StageInput* const before = context.FindInput("begin_with"); before != nullptr) {
    RETORT_RETURN_IF_ERROR(nn::LoadModel(before->artifact.File("model.safetensors"), model.get()));
  }
  RETORT_ASSIGN_OR_RETURN(kd::Objective objective, kd::Objective::Create(*setup.objective));
  std::cerr << context.stage->name() << ": objective\n" << kd::TermLines(*setup.objective);

  const config::Validation& validation = setup.train->validation();
  const bool on_test = validation.split() == config::Validation::TEST;
  const bool training_views = validation.views() == config::Validation::TRAINING;
  data::Split split{EveryIndex(dataset), {}};
  if (on_test) {
    split.validation = EveryIndex(setup.splits.test);
  } else if (setup.train->has_validation()) {
    split = data::SplitValidation(dataset.labels, validation.fraction(), validation.stratified(), validation.seed());
    if (split.validation.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("train.validation: a fraction of ", validation.fraction(), " of ",
                                                     dataset.size, " images is none; raise it or leave it out"));
    }
  }
  RETORT_ASSIGN_OR_RETURN(const data::Batcher evaluator,
                          MakeBatcher(context, on_test ? &setup.splits.test : &dataset,
                                      training_views ? setup.plan : test_views, normalization));

  kd::TrainingTask task;
  task.model = model.get();
  task.objective = &objective;
  task.teacher = setup.teacher;
  task.dataset = &dataset;
  task.batcher = &batcher;
  task.train_index = std::move(split.train);
  task.evaluator = &evaluator;
  task.validation_index = std::move(split.validation);
  if (training_views && !setup.stored_views) task.validation_view = [](int64_t epoch) { return epoch; };
  task.views_of = setup.views_of;
  task.training = *setup.train;
  task.seed = context.seed;

  const config::Deployment& deployment = context.pipeline->deployment();
  Progress progress(context.stage->name(), static_cast<int64_t>(task.train_index.size()) * task.training.epochs(),
                    "images", deployment.progress_seconds());
  kd::TrainingRun run;
  run.work_dir = context.work_dir;
  run.identity = context.key;
  run.checkpoint_seconds = deployment.checkpoint_seconds();
  run.stop_requested = context.stop_requested;
  StageOutput output;
  const std::vector<std::string> names = objective.names();
  run.on_progress = [&progress, &names](const kd::TrainingRun::Progress& now) {
    std::string text = absl::StrFormat("epoch %d/%d  loss %.4f", now.epoch + 1, now.epochs, now.loss);
    // Of one term that is the loss.
    for (size_t i = 0; now.parts.size() > 1 && i < now.parts.size(); ++i) {
      absl::StrAppendFormat(&text, "%s%s %.4f", i == 0 ? " = " : ", ", names[i], now.parts[i]);
    }
    progress.Update(now.images_done, text);
  };
  std::unique_ptr<EventFile> events;
  run.on_epoch = [&](const kd::EpochMetrics& metrics) { return WriteCurves(context, metrics, names, &events); };
  run.on_warning = [](const std::string& warning) { std::cerr << "warning: " << warning << "\n"; };
  RETORT_ASSIGN_OR_RETURN(const std::vector<kd::EpochMetrics> history, kd::Train(task, run));
  if (!history.empty()) output.seconds = history.back().seconds;
  progress.Finish("");

  RETORT_ASSIGN_OR_RETURN(const kd::Evaluation evaluation,
                          kd::Evaluate(*model, tester, EveryIndex(setup.splits.test), shape.classes, kEvaluationBatch));
  RETORT_RETURN_IF_ERROR(
      SaveTrainedModel(context.work_dir, *model, *setup.model, dataset, normalization, *setup.train));
  RETORT_RETURN_IF_ERROR(
      WriteEvaluation(absl::StrCat(context.work_dir, "/evaluation.json"), evaluation, setup.splits.test.class_names));
  output.files = {"model.safetensors", "model.textproto", "metrics.jsonl", "evaluation.json"};
  RETORT_ASSIGN_OR_RETURN(const bool projects, SaveProjector(context.work_dir, *setup.objective, objective));
  if (projects) {
    output.files.push_back(kProjectorFile);
    std::cerr << context.stage->name() << ": its accuracy is that of its own classifier, which sim_kd does not train; "
              << kProjectorFile << " is what the teacher's classifier is to be put on\n";
  }
  for (const auto& [name, value] : EvaluationMetrics(evaluation)) output.metrics.push_back({name, value});
  for (const auto& [name, value] : ModelCosts(model.get(), shape)) output.metrics.push_back({name, value});
  // Each as often as there are epochs.
  output.metrics.push_back({"trained_images", static_cast<double>(task.train_index.size()) * task.training.epochs()});
  return output;
}

}  // namespace retort::pipelines
