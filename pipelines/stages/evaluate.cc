#include "retort/pipelines/stages/evaluate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/kd/evaluate.h"
#include "retort/pipelines/payload/evaluation_json.h"
#include "retort/pipelines/payload/model_costs.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stages/inputs.h"

namespace retort::pipelines {
namespace {

// A model that sees the images by its own views and normalisation.
struct Measured {
  TrainedModel trained;
  data::Batcher batcher;
};

absl::StatusOr<Measured> Load(const StageContext& context, const StageInput& input, const data::Dataset& dataset) {
  RETORT_ASSIGN_OR_RETURN(TrainedModel trained, LoadTrainedModel(input.artifact, ChannelsLast(context)));
  RETORT_RETURN_IF_ERROR(CheckFits(trained, dataset, trained.test_views));
  RETORT_ASSIGN_OR_RETURN(data::Batcher batcher,
                          MakeBatcher(context, &dataset, trained.test_views, trained.normalization));
  return Measured{std::move(trained), std::move(batcher)};
}

}  // namespace

absl::StatusOr<StageOutput> RunEvaluate(const StageContext& context) {
  const config::Evaluate& config = context.stage->evaluate();
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits, OpenInputDataset(context));
  const data::Dataset& dataset = config.split() == config::Evaluate::TEST ? splits.test : splits.train;
  RETORT_ASSIGN_OR_RETURN(const StageInput* input, context.Input("model"));
  RETORT_ASSIGN_OR_RETURN(const Measured model, Load(context, *input, dataset));
  absl::optional<Measured> teacher;
  absl::optional<kd::Beholder> beholder;
  if (const StageInput* from = context.FindInput("teacher"); from != nullptr) {
    RETORT_ASSIGN_OR_RETURN(teacher, Load(context, *from, dataset));
    beholder = kd::Beholder{teacher->trained.model.get(), &teacher->batcher};
  }
  RETORT_ASSIGN_OR_RETURN(const kd::Evaluation evaluation,
                          kd::Evaluate(*model.trained.model, model.batcher, EveryIndex(dataset),
                                       model.trained.shape.classes, kEvaluationBatch, beholder));
  RETORT_RETURN_IF_ERROR(
      WriteEvaluation(absl::StrCat(context.work_dir, "/evaluation.json"), evaluation, dataset.class_names));
  StageOutput output;
  output.files = {"evaluation.json"};
  for (const auto& [name, value] : EvaluationMetrics(evaluation)) output.metrics.push_back({name, value});
  for (const auto& [name, value] : ModelCosts(model.trained.model.get(), model.trained.shape)) {
    output.metrics.push_back({name, value});
  }
  return output;
}

}  // namespace retort::pipelines
