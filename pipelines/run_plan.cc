#include "retort/pipelines/run_plan.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/runtime.h"
#include "retort/pipelines/program/without_exceptions.h"
#include "retort/pipelines/stage.h"
#include "retort/pipelines/stage_type.h"
#include "retort/pipelines/stages/cache_logits.h"

namespace retort::pipelines {
namespace {

class Runner {
 public:
  Runner(const Plan& plan, const ArtifactStore& store, const RunOptions& options)
      : plan_(plan), store_(store), options_(options) {}

  // The artifact of stage `i`, found or made.
  absl::StatusOr<StoredArtifact> Deliver(size_t i) {
    if (const auto known = artifacts_.find(i); known != artifacts_.end()) return known->second;
    const PlannedStage& stage = plan_.stages[i];
    absl::StatusOr<StoredArtifact> found = store_.Find(KindOf(stage), stage.key);
    if (found.ok()) {
      Say("HIT", stage, "");
      artifacts_.emplace(i, *found);
      return found;
    }
    const bool damaged = absl::IsDataLoss(found.status());
    if (damaged) {
      Say("BAD", stage, absl::StrCat("made again: ", found.status().message()));
    } else if (!absl::IsNotFound(found.status())) {
      return found.status();
    }
    RETORT_ASSIGN_OR_RETURN(const StageContext context, ContextOf(i));
    if (options_.stop_requested()) return absl::CancelledError("stopped");
    Say("RUN", stage, "");
    RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact, TypeOf(stage.config->kind_case()).shared
                                                         ? MakeTogether(stage, context, damaged)
                                                         : Make(stage, context));
    artifacts_.emplace(i, artifact);
    return artifact;
  }

  // Has a stage of targets, which has been delivered, compared with what its teacher says now.
  absl::Status Verify(size_t i, int64_t records) {
    RETORT_ASSIGN_OR_RETURN(const StageContext context, ContextOf(i));
    RETORT_ASSIGN_OR_RETURN(const StoredArtifact artifact, Deliver(i));
    nn::ConfigureRuntime(plan_.pipeline->numerics().threads());
    return Named(plan_.stages[i], WithoutExceptions([&] { return VerifyTargets(context, artifact, records); }));
  }

 private:
  static std::string KindOf(const PlannedStage& stage) { return KindName(stage.config->kind_case()); }

  static absl::Status Named(const PlannedStage& stage, const absl::Status& status) {
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat("stage \"", stage.name, "\": ", status.message()));
  }

  // What the stage may look at, its inputs delivered.
  absl::StatusOr<StageContext> ContextOf(size_t i) {
    const PlannedStage& stage = plan_.stages[i];
    StageContext context;
    context.pipeline = plan_.pipeline.get();
    context.stage = stage.config;
    context.replicate = stage.replicate;
    context.seed = stage.seed;
    context.data_dir = options_.data_dir;
    context.weights_sha256 = stage.weights_sha256;
    context.key = stage.key;
    context.stop_requested = options_.stop_requested;
    for (const PlannedStage::Input& input : stage.inputs) {
      const PlannedStage& from = plan_.stages[input.stage];
      RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact, Deliver(input.stage));
      context.inputs.push_back(
          {input.role, from.config->name(), from.replicate, from.seed, from.config, std::move(artifact)});
    }
    return context;
  }

  absl::StatusOr<StoredArtifact> Make(const PlannedStage& stage, StageContext context) {
    RETORT_ASSIGN_OR_RETURN(std::unique_ptr<WorkFolder> work, store_.Work(KindOf(stage), stage.key));
    // Another process may have finished it while this one waited for its inputs.
    if (absl::StatusOr<StoredArtifact> found = store_.Find(KindOf(stage), stage.key); found.ok()) return found;
    context.work_dir = work->path();
    RETORT_ASSIGN_OR_RETURN(const Made made, RunStage(stage, context));
    return Publish(stage, std::move(work), made);
  }

  absl::StatusOr<StoredArtifact> MakeTogether(const PlannedStage& stage, StageContext context, bool damaged) {
    const std::string kind = KindOf(stage);
    RETORT_ASSIGN_OR_RETURN(std::unique_ptr<WorkFolder> work,
                            store_.WorkTogether(kind, stage.key, options_.stop_requested));
    if (damaged) RETORT_RETURN_IF_ERROR(store_.Salvage(kind, stage.key, *work));
    context.work_dir = work->path();
    if (absl::StatusOr<StoredArtifact> found = store_.Find(kind, stage.key); found.ok()) return found;
    const absl::StatusOr<Made> made = RunStage(stage, context);
    work.reset();
    if (made.ok()) {
      RETORT_ASSIGN_OR_RETURN(work, store_.WaitForWork(kind, stage.key, options_.stop_requested));
    }
    // Another process may have published what all have made, and moved the files away.
    if (absl::StatusOr<StoredArtifact> found = store_.Find(kind, stage.key); found.ok()) {
      Say("DONE", stage, "by another process");
      return found;
    }
    RETORT_RETURN_IF_ERROR(made.status());
    return Publish(stage, std::move(work), *made);
  }

  struct Made {
    StageOutput output;
    double seconds;
  };

  absl::StatusOr<Made> RunStage(const PlannedStage& stage, const StageContext& context) {
    const StageType type = TypeOf(stage.config->kind_case());
    if (type.numeric) nn::ConfigureRuntime(plan_.pipeline->numerics().threads());
    const absl::Time start = absl::Now();
    absl::StatusOr<StageOutput> output = WithoutExceptions([&] { return type.run(context); });
    if (!output.ok()) return Named(stage, output.status());
    const double seconds = std::max(output->seconds, absl::ToDoubleSeconds(absl::Now() - start));
    return Made{*std::move(output), seconds};
  }

  absl::StatusOr<StoredArtifact> Publish(const PlannedStage& stage, std::unique_ptr<WorkFolder> work,
                                         const Made& made) {
    config::Artifact manifest;
    manifest.set_kind(KindOf(stage));
    for (const PlannedStage::Input& input : stage.inputs) {
      const PlannedStage& from = plan_.stages[input.stage];
      config::Artifact::Input* recorded = manifest.add_input();
      recorded->set_role(input.role);
      recorded->set_kind(KindOf(from));
      recorded->set_key(from.key);
    }
    manifest.set_seconds(made.seconds);
    for (const StageOutput::Metric& metric : made.output.metrics) {
      config::Artifact::Metric* recorded = manifest.add_metric();
      recorded->set_name(metric.name);
      recorded->set_value(metric.value);
    }
    RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact,
                            store_.Publish(std::move(work), stage.key_text, made.output.files, std::move(manifest)));
    Say("DONE", stage, Summary(made.output, made.seconds));
    return artifact;
  }

  static void Say(const char* verdict, const PlannedStage& stage, const std::string& rest) {
    std::cerr << absl::StreamFormat("%-4s  %-12s  %s  %s%s%s\n", verdict, KindOf(stage), stage.key.substr(0, 16),
                                    stage.name, rest.empty() ? "" : ": ", rest);
  }

  static std::string Summary(const StageOutput& output, double seconds) {
    std::vector<std::string> parts;
    for (const StageOutput::Metric& metric : output.metrics) {
      parts.push_back(absl::StrFormat("%s %.6g", metric.name, metric.value));
    }
    parts.push_back(absl::StrFormat("%.1f s", seconds));
    return absl::StrJoin(parts, ", ");
  }

  const Plan& plan_;
  const ArtifactStore& store_;
  const RunOptions& options_;
  std::map<size_t, StoredArtifact> artifacts_;
};

}  // namespace

absl::StatusOr<std::vector<StoredArtifact>> RunPlan(const Plan& plan, const std::vector<size_t>& goals,
                                                    const ArtifactStore& store, const RunOptions& options) {
  Runner runner(plan, store, options);
  std::vector<StoredArtifact> artifacts;
  for (const size_t goal : goals) {
    RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact, runner.Deliver(goal));
    artifacts.push_back(std::move(artifact));
  }
  if (options.verify_targets == 0) return artifacts;
  bool any = false;
  for (const size_t i : WithInputs(plan, goals)) {
    if (!plan.stages[i].config->has_cache_logits()) continue;
    any = true;
    RETORT_RETURN_IF_ERROR(runner.Verify(i, options.verify_targets));
  }
  if (!any)
    return absl::InvalidArgumentError("--verify_targets: there is no cache_logits stage behind what was asked for");
  return artifacts;
}

}  // namespace retort::pipelines
