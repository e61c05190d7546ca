#include "retort/tools/compare/find_pairs.h"

#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "retort/data/io/status_macros.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/stage.h"

namespace retort::tools {
namespace {

using ::retort::pipelines::PlannedStage;
using ::retort::pipelines::StoredArtifact;

bool CanBeCompared(const config::Stage& stage) {
  return stage.has_finetune() || stage.has_distill() || stage.has_evaluate();
}

// seed -> index in the plan
absl::StatusOr<std::map<uint64_t, size_t>> Seeds(const Run& run) {
  std::map<uint64_t, size_t> seeds;
  std::set<std::string> names;
  for (size_t i = 0; i < run.plan->stages.size(); ++i) {
    const PlannedStage& stage = run.plan->stages[i];
    if (!CanBeCompared(*stage.config)) continue;
    names.insert(stage.config->name());
    if (stage.config->name() == run.name) seeds[stage.seed] = i;
  }
  if (!seeds.empty()) return seeds;
  return absl::InvalidArgumentError(absl::StrCat("pipeline \"", run.plan->pipeline->name(), "\" has no run \"",
                                                 run.name, "\", which is a stage that trains or evaluates; ",
                                                 pipelines::Permitted(run.name, {names.begin(), names.end()})));
}

absl::StatusOr<StoredArtifact> Find(const Run& run, const PlannedStage& stage) {
  const std::string kind = pipelines::KindName(stage.config->kind_case());
  absl::StatusOr<StoredArtifact> found = run.store->Find(kind, stage.key);
  if (found.ok()) return found;
  return absl::Status(
      found.status().code(),
      absl::StrCat("run \"", run.name, "\": ", kind, " \"", stage.name, "\" of seed ", stage.seed,
                   absl::IsNotFound(found.status()) ? absl::StrCat(" is not in ", run.store->root())
                                                    : absl::StrCat(" cannot be read: ", found.status().message()),
                   "; bazel run //pipelines:", kind, " -- ", run.arguments, " makes it"));
}

// The input of that role, which every stage of these kinds has.
absl::StatusOr<size_t> InputOf(const PlannedStage& stage, const std::string& role) {
  for (const PlannedStage::Input& input : stage.inputs) {
    if (input.role == role) return input.stage;
  }
  return absl::InternalError(absl::StrCat("stage \"", stage.name, "\" has no input \"", role, "\""));
}

absl::StatusOr<Replicate> ReadReplicate(const Run& run, size_t i) {
  const PlannedStage& stage = run.plan->stages[i];
  Replicate replicate;
  replicate.seed = stage.seed;
  RETORT_ASSIGN_OR_RETURN(const StoredArtifact measured, Find(run, stage));
  RETORT_ASSIGN_OR_RETURN(replicate.accuracy, measured.Metric("accuracy"));
  RETORT_ASSIGN_OR_RETURN(const size_t data, InputOf(stage, "data"));
  RETORT_ASSIGN_OR_RETURN(replicate.dataset, Find(run, run.plan->stages[data]));
  replicate.model = measured;
  if (stage.config->has_evaluate()) {
    RETORT_ASSIGN_OR_RETURN(const size_t model, InputOf(stage, "model"));
    RETORT_ASSIGN_OR_RETURN(replicate.model, Find(run, run.plan->stages[model]));
    replicate.training_split = stage.config->evaluate().split() == config::Evaluate::TRAIN;
  }
  return replicate;
}

std::string SeedText(const std::map<uint64_t, size_t>& seeds) {
  return absl::StrJoin(seeds, ", ", [](std::string* out, const auto& seed) { absl::StrAppend(out, seed.first); });
}

}  // namespace

absl::StatusOr<std::vector<ReplicatePair>> FindPairs(const Run& first, const Run& second) {
  RETORT_ASSIGN_OR_RETURN(const auto first_seeds, Seeds(first));
  RETORT_ASSIGN_OR_RETURN(const auto second_seeds, Seeds(second));
  std::vector<ReplicatePair> pairs;
  for (const auto& [seed, i] : first_seeds) {
    const auto partner = second_seeds.find(seed);
    if (partner == second_seeds.end()) continue;
    ReplicatePair pair;
    RETORT_ASSIGN_OR_RETURN(pair.first, ReadReplicate(first, i));
    RETORT_ASSIGN_OR_RETURN(pair.second, ReadReplicate(second, partner->second));
    pairs.push_back(std::move(pair));
  }
  if (!pairs.empty()) return pairs;
  return absl::InvalidArgumentError(absl::StrCat("no seed is common: \"", first.name, "\" has ", SeedText(first_seeds),
                                                 ", \"", second.name, "\" has ", SeedText(second_seeds),
                                                 "; give both pipelines the same seed"));
}

}  // namespace retort::tools
