#include "retort/pipelines/stages/finetune.h"

#include <utility>

#include "retort/data/io/status_macros.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/pipelines/stages/inputs.h"
#include "retort/pipelines/stages/training_stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunFinetune(const StageContext& context) {
  const config::Finetune& config = context.stage->finetune();
  RETORT_ASSIGN_OR_RETURN(data::DatasetSplits splits, OpenInputDataset(context));
  RETORT_ASSIGN_OR_RETURN(const data::ViewPlan plan, FreshViews(context, config.train()));
  return RunTraining(context, {.model = &config.model(),
                               .objective = &config.objective(),
                               .train = &config.train(),
                               .splits = std::move(splits),
                               .plan = plan,
                               .views_of = kd::SameView,
                               .teacher = nullptr});
}

}  // namespace retort::pipelines
