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
#include "retort/pipelines/stage.h"
#include "retort/pipelines/stage_type.h"

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
    const std::string kind = KindName(stage.config->kind_case());
    absl::StatusOr<StoredArtifact> found = store_.Find(kind, stage.key);
    if (found.ok()) {
      Say("HIT", stage, "");
      artifacts_.emplace(i, *found);
      return found;
    }
    if (absl::IsDataLoss(found.status())) {
      Say("BAD", stage, absl::StrCat("made again: ", found.status().message()));
    } else if (!absl::IsNotFound(found.status())) {
      return found.status();
    }

    StageContext context;
    context.pipeline = plan_.pipeline.get();
    context.stage = stage.config;
    context.seed = stage.seed;
    context.data_dir = options_.data_dir;
    context.weights_sha256 = stage.weights_sha256;
    context.key = stage.key;
    context.stop_requested = options_.stop_requested;
    config::Artifact manifest;
    for (const PlannedStage::Input& input : stage.inputs) {
      const PlannedStage& from = plan_.stages[input.stage];
      RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact, Deliver(input.stage));
      context.inputs.push_back(
          {input.role, from.config->name(), from.replicate, from.seed, from.config, std::move(artifact)});
      config::Artifact::Input* recorded = manifest.add_input();
      recorded->set_role(input.role);
      recorded->set_kind(KindName(from.config->kind_case()));
      recorded->set_key(from.key);
    }

    if (options_.stop_requested()) return absl::CancelledError("stopped");
    Say("RUN", stage, "");
    RETORT_ASSIGN_OR_RETURN(std::unique_ptr<WorkFolder> work, store_.Work(kind, stage.key));
    // Another process may have finished it while this one waited for its inputs.
    if (found = store_.Find(kind, stage.key); found.ok()) {
      artifacts_.emplace(i, *found);
      return found;
    }
    context.work_dir = work->path();
    const StageType type = TypeOf(stage.config->kind_case());
    if (type.numeric) nn::ConfigureRuntime(plan_.pipeline->numerics().threads());
    const absl::Time start = absl::Now();
    absl::StatusOr<StageOutput> output = type.run(context);
    if (!output.ok()) {
      return absl::Status(output.status().code(),
                          absl::StrCat("stage \"", stage.name, "\": ", output.status().message()));
    }
    const double seconds = std::max(output->seconds, absl::ToDoubleSeconds(absl::Now() - start));
    manifest.set_kind(kind);
    manifest.set_seconds(seconds);
    for (const StageOutput::Metric& metric : output->metrics) {
      config::Artifact::Metric* recorded = manifest.add_metric();
      recorded->set_name(metric.name);
      recorded->set_value(metric.value);
    }
    RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact,
                            store_.Publish(std::move(work), stage.key_text, output->files, std::move(manifest)));
    Say("DONE", stage, Summary(*output, seconds));
    artifacts_.emplace(i, artifact);
    return artifact;
  }

 private:
  static void Say(const char* verdict, const PlannedStage& stage, const std::string& rest) {
    std::cerr << absl::StreamFormat("%-4s  %-12s  %s  %s%s%s\n", verdict, KindName(stage.config->kind_case()),
                                    stage.key.substr(0, 16), stage.name, rest.empty() ? "" : ": ", rest);
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
  return artifacts;
}

}  // namespace retort::pipelines
