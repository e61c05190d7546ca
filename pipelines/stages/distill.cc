#include "retort/pipelines/stages/distill.h"

#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "retort/data/io/status_macros.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/teacher.h"
#include "retort/pipelines/payload/stored_targets.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stages/inputs.h"
#include "retort/pipelines/stages/seed.h"
#include "retort/pipelines/stages/training_stage.h"

namespace retort::pipelines {
namespace {

// Which of `count` stored views all images have in `epoch`.
int64_t ViewOfEpoch(config::Distill::ViewUse use, uint64_t seed, int64_t count, int64_t epoch) {
  switch (use) {
    case config::Distill::ONE_VIEW_PER_EPOCH:
      return static_cast<int64_t>(DeriveSeed(seed, absl::StrCat("view of epoch ", epoch)) %
                                  static_cast<uint64_t>(count));
    case config::Distill::VIEWS_IN_TURN:
      return epoch % count;
  }
  return 0;
}

// Says how good a live teacher is before it is used.
absl::Status Introduce(const StageInput& teacher, const data::Dataset& dataset) {
  RETORT_ASSIGN_OR_RETURN(const double accuracy, teacher.artifact.Metric("accuracy"));
  const double chance = 1 / static_cast<double>(dataset.class_names.size());
  std::cerr << absl::StreamFormat("teacher \"%s\": test accuracy %.2f %%; in evaluation mode, without gradients\n",
                                  teacher.name, 100 * accuracy);
  if (accuracy < 2 * chance) {
    std::cerr << absl::StreamFormat("warning: that is less than twice chance, %.2f %%\n", 100 * chance);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StageOutput> RunDistill(const StageContext& context) {
  const config::Distill& config = context.stage->distill();
  RETORT_ASSIGN_OR_RETURN(data::DatasetSplits splits, OpenInputDataset(context));
  RETORT_ASSIGN_OR_RETURN(data::ViewPlan plan, FreshViews(context, config.train()));
  std::function<int64_t(int64_t)> view_of_epoch = [](int64_t epoch) { return epoch; };
  const data::Dataset images = splits.train;
  const data::ViewPlan::Size size = {images.height, images.width};
  std::unique_ptr<kd::Teacher> teacher;
  if (context.FindInput("targets") != nullptr) {
    std::vector<kd::TargetCache::View> stored;
    for (const StageInput* targets : context.Inputs("targets")) {
      RETORT_ASSIGN_OR_RETURN(kd::TargetCache::View view, StoredView(targets->artifact, targets->replicate));
      stored.push_back(std::move(view));
    }
    RETORT_ASSIGN_OR_RETURN(kd::TargetCache cache, kd::TargetCache::Open(stored));
    RETORT_ASSIGN_OR_RETURN(const config::ViewSet views, OpenInputViews(context));
    RETORT_ASSIGN_OR_RETURN(plan, data::ViewPlan::Create(views.step(), views.seed()));
    view_of_epoch = [use = config.view_use(), seed = context.seed, count = cache.views()](int64_t epoch) {
      return ViewOfEpoch(use, seed, count, epoch);
    };
    teacher = std::make_unique<kd::CachedTeacher>(std::move(cache));
  } else if (const StageInput* input = context.FindInput("teacher"); input != nullptr) {
    RETORT_ASSIGN_OR_RETURN(TrainedModel trained, LoadTrainedModel(input->artifact, ChannelsLast(context)));
    RETORT_ASSIGN_OR_RETURN(const data::ViewPlan seen, TeacherViews(trained, splits.train, plan));
    RETORT_RETURN_IF_ERROR(Introduce(*input, splits.train));
    RETORT_ASSIGN_OR_RETURN(const data::ChannelStatistics normalization,
                            ResolveNormalization(config.train().normalize(), splits.train));
    const bool same_normalization =
        normalization.mean == trained.normalization.mean && normalization.std == trained.normalization.std;
    std::unique_ptr<const data::Batcher> own;
    if (seen.SizeOf(size).height != plan.SizeOf(size).height || !same_normalization) {
      RETORT_ASSIGN_OR_RETURN(data::Batcher batcher, MakeBatcher(context, &images, seen, trained.normalization));
      own = std::make_unique<const data::Batcher>(std::move(batcher));
    }
    teacher = std::make_unique<kd::LiveTeacher>(std::move(trained.model), std::move(own));
  }
  return RunTraining(context, {.model = &config.model(),
                               .objective = &config.objective(),
                               .train = &config.train(),
                               .splits = std::move(splits),
                               .plan = plan,
                               .view_of_epoch = std::move(view_of_epoch),
                               .teacher = teacher.get()});
}

}  // namespace retort::pipelines
