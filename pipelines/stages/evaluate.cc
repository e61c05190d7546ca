#include "retort/pipelines/stages/evaluate.h"

#include "absl/strings/str_cat.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/kd/evaluate.h"
#include "retort/pipelines/payload/evaluation_json.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stages/inputs.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunEvaluate(const StageContext& context) {
  const config::Evaluate& config = context.stage->evaluate();
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits, OpenInputDataset(context));
  const data::Dataset& dataset = config.split() == config::Evaluate::TEST ? splits.test : splits.train;
  RETORT_ASSIGN_OR_RETURN(const StageInput* input, context.Input("model"));
  RETORT_ASSIGN_OR_RETURN(const TrainedModel trained, LoadTrainedModel(input->artifact, ChannelsLast(context)));
  RETORT_RETURN_IF_ERROR(CheckFits(trained, dataset, trained.test_views));
  RETORT_ASSIGN_OR_RETURN(const data::Batcher batcher,
                          MakeBatcher(context, &dataset, trained.test_views, trained.normalization));
  RETORT_ASSIGN_OR_RETURN(const kd::Evaluation evaluation, kd::Evaluate(*trained.model, batcher, EveryIndex(dataset),
                                                                        trained.shape.classes, kEvaluationBatch));
  RETORT_RETURN_IF_ERROR(
      WriteEvaluation(absl::StrCat(context.work_dir, "/evaluation.json"), evaluation, dataset.class_names));
  StageOutput output;
  output.files = {"evaluation.json"};
  output.metrics = {{"accuracy", evaluation.accuracy},
                    {"loss", evaluation.loss},
                    {"parameters", static_cast<double>(nn::CountParameters(*trained.model))},
                    {"images", static_cast<double>(evaluation.images)}};
  return output;
}

}  // namespace retort::pipelines
