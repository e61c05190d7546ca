#include "retort/pipelines/stages/cache_logits.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "ATen/ops/argmax.h"
#include "ATen/ops/eq.h"
#include "ATen/ops/sum.h"
#include "absl/strings/str_cat.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/kd/target_cache.h"
#include "retort/kd/teacher.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/progress/progress.h"
#include "retort/pipelines/stages/inputs.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunCacheLogits(const StageContext& context) {
  const config::CacheLogits& config = context.stage->cache_logits();
  RETORT_ASSIGN_OR_RETURN(const data::DatasetSplits splits, OpenInputDataset(context));
  const data::Dataset& dataset = splits.train;
  RETORT_ASSIGN_OR_RETURN(const StageInput* input, context.Input("teacher"));
  RETORT_ASSIGN_OR_RETURN(TrainedModel trained, LoadTrainedModel(input->artifact, ChannelsLast(context)));
  data::ChannelStatistics normalization = trained.normalization;
  if (config.has_normalize()) {
    RETORT_ASSIGN_OR_RETURN(normalization, ResolveNormalization(config.normalize(), dataset));
  }
  RETORT_ASSIGN_OR_RETURN(const config::ViewSet views, OpenInputViews(context));
  RETORT_ASSIGN_OR_RETURN(data::ViewPlan plan, data::ViewPlan::Create(views.step(), views.seed()));
  // Images as they are become what this teacher takes.
  if (views.step().empty()) plan = trained.test_views;
  RETORT_ASSIGN_OR_RETURN(plan, TeacherViews(trained, dataset, plan));
  RETORT_ASSIGN_OR_RETURN(const data::Batcher batcher, MakeBatcher(context, &dataset, plan, normalization));

  kd::LiveTeacher teacher(std::move(trained.model));
  kd::TargetRequest request;
  request.embedding = config.embedding();
  kd::TargetCacheBuilder builder(
      views.count(), dataset.size, config.embedding(),
      config.precision() == config::CacheLogits::FP16 ? kd::TargetPrecision::kFp16 : kd::TargetPrecision::kFp32);
  Progress progress(context.stage->name(), views.count() * dataset.size, "images",
                    context.pipeline->deployment().progress_seconds());
  int64_t correct = 0;
  for (int64_t view = 0; view < views.count(); ++view) {
    for (int64_t first = 0; first < dataset.size; first += kEvaluationBatch) {
      if (context.stop_requested()) return absl::CancelledError("stopped");
      std::vector<int64_t> index(static_cast<size_t>(std::min(kEvaluationBatch, dataset.size - first)));
      std::iota(index.begin(), index.end(), first);
      RETORT_ASSIGN_OR_RETURN(const data::Batch batch, batcher.Assemble(index, {view}));
      RETORT_ASSIGN_OR_RETURN(const kd::Targets outputs, teacher.Look(batch, request));
      RETORT_RETURN_IF_ERROR(builder.Put(view, batch.index, outputs));
      correct += at::sum(at::eq(at::argmax(outputs.logits, 1), batch.labels)).item<int64_t>();
      progress.Update(view * dataset.size + first + static_cast<int64_t>(index.size()), "");
    }
  }
  progress.Finish("");
  RETORT_RETURN_IF_ERROR(builder.Write(absl::StrCat(context.work_dir, "/targets.safetensors")));
  const double targets = static_cast<double>(views.count()) * static_cast<double>(dataset.size);
  StageOutput output;
  output.files = {"targets.safetensors"};
  output.metrics = {{"views", static_cast<double>(views.count())},
                    {"samples", static_cast<double>(dataset.size)},
                    {"teacher_accuracy", static_cast<double>(correct) / targets}};
  return output;
}

}  // namespace retort::pipelines
