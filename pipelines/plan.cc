#include "retort/pipelines/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

#include "retort/data/field_options.pb.h"
#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/sources/read_source.h"
#include "retort/nn/initial_weights.h"
#include "retort/pipelines/config/references.h"
#include "retort/pipelines/stage.h"
#include "retort/pipelines/stage_type.h"
#include "retort/pipelines/store/canonical_text.h"

namespace retort::pipelines {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The message without the names of other stages: their keys say more, and a new name alone changes nothing.
std::string ConfigText(const Message& message) {
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  std::vector<const FieldDescriptor*> fields;
  copy->GetReflection()->ListFields(*copy, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->options().ExtensionSize(config::refers_to) > 0) copy->GetReflection()->ClearField(copy.get(), field);
  }
  return CanonicalText(*copy);
}

// How many artifacts a stage makes: replicates of a training, a model's replicates in turn, or views.
int Replicates(const config::Stage& stage, const std::map<std::string, std::vector<size_t>>& replicates_of,
               const Plan& plan) {
  if (stage.has_distill()) return stage.distill().replicates();
  if (stage.has_evaluate()) return static_cast<int>(replicates_of.at(stage.evaluate().model()).size());
  if (stage.has_export_()) return static_cast<int>(replicates_of.at(stage.export_().model()).size());
  if (stage.cache_logits().has_views()) {
    return plan.stages[replicates_of.at(stage.cache_logits().views())[0]].config->augment().count();
  }
  return 1;
}

absl::StatusOr<std::string> KeyText(const Plan& plan, const PlannedStage& stage, const std::string& data_dir) {
  const StageType type = TypeOf(stage.config->kind_case());
  std::string text =
      absl::StrCat("format: 1\nkind: ", KindName(stage.config->kind_case()), "\nversion: ", type.version, "\n");
  if (type.seeded) absl::StrAppend(&text, "seed: ", stage.seed, "\n");
  if (stage.config->has_cache_logits()) absl::StrAppend(&text, "view: ", stage.replicate, "\n");
  auto append = [&text](absl::string_view prefix, const std::string& lines) {
    for (absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
      absl::StrAppend(&text, prefix, line, "\n");
    }
  };
  append("config.", ConfigText(KindMessage(*stage.config)));
  if (type.numeric) append("numerics.", CanonicalText(plan.pipeline->numerics()));
  if (stage.config->has_ingest()) {
    RETORT_ASSIGN_OR_RETURN(const std::string digest, data::SourceDigest(stage.config->ingest(), data_dir));
    if (!digest.empty()) absl::StrAppend(&text, "source: ", digest, "\n");
  }
  if (!stage.weights_sha256.empty()) absl::StrAppend(&text, "initial_weights: ", stage.weights_sha256, "\n");
  // A report shows names and the config; to everything else they are nothing.
  const bool named = stage.config->has_report();
  if (named) {
    absl::StrAppend(&text, "pipeline: ", plan.pipeline->name(),
                    "\nshown: ", data::Sha256Hex(CanonicalText(PipelineBehind(*plan.pipeline, stage.config->name()))),
                    "\n");
  }
  for (const PlannedStage::Input& input : stage.inputs) {
    const PlannedStage& from = plan.stages[input.stage];
    absl::StrAppend(&text, "input.", input.role, named ? absl::StrCat(".", from.name) : "", ": ",
                    KindName(from.config->kind_case()), " ", from.key, "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<Plan> MakePlan(config::Pipeline pipeline, const std::string& data_dir) {
  Plan plan;
  plan.pipeline = std::make_unique<config::Pipeline>(std::move(pipeline));
  std::map<std::string, std::vector<size_t>> replicates_of;
  for (const config::Stage& config : plan.pipeline->stage()) {
    const std::vector<Reference> references = References(KindMessage(config));
    std::string weights_sha256;
    if (const config::InitialWeights* weights = InitialWeightsOf(config); weights != nullptr) {
      absl::StatusOr<std::string> digest = nn::InitialWeightsDigest(*weights);
      if (!digest.ok()) {
        return absl::Status(digest.status().code(), absl::StrCat("stage \"", config.name(),
                                                                 "\": initial_weights: ", digest.status().message()));
      }
      weights_sha256 = *std::move(digest);
    }
    const int replicates = Replicates(config, replicates_of, plan);
    for (int replicate = 0; replicate < replicates; ++replicate) {
      PlannedStage stage;
      stage.config = &config;
      stage.replicate = replicate;
      stage.weights_sha256 = weights_sha256;
      stage.seed = plan.pipeline->seed() + static_cast<uint64_t>(replicate);
      stage.name = replicates == 1 ? config.name() : absl::StrCat(config.name(), "/", replicate);
      for (const Reference& reference : references) {
        const std::vector<size_t>& candidates = replicates_of[reference.name];
        const bool targets = reference.role == "targets";
        if (config.has_report() || targets) {
          for (const size_t input : candidates) stage.inputs.push_back({reference.role, input});
          if (!targets) continue;
        }
        // A teacher or a data set is the first.
        const size_t input = reference.role == "model" ? candidates[static_cast<size_t>(replicate)] : candidates[0];
        if (!targets) stage.inputs.push_back({reference.role, input});
        // Targets and views bring the images they were made from; a model that is exported, those it was trained on.
        const bool views = targets || reference.role == "views";
        if (views || config.has_export_()) {
          for (const PlannedStage::Input& further : plan.stages[input].inputs) {
            if (further.role == "data" || (views && further.role == "views")) stage.inputs.push_back(further);
          }
        }
      }
      RETORT_ASSIGN_OR_RETURN(stage.key_text, KeyText(plan, stage, data_dir));
      stage.key = data::Sha256Hex(stage.key_text);
      replicates_of[config.name()].push_back(plan.stages.size());
      plan.stages.push_back(std::move(stage));
    }
  }
  return plan;
}

std::set<size_t> WithInputs(const Plan& plan, const std::vector<size_t>& goals) {
  std::set<size_t> reached(goals.begin(), goals.end());
  for (size_t i = plan.stages.size(); i-- > 0;) {
    if (reached.count(i) == 0) continue;
    for (const PlannedStage::Input& input : plan.stages[i].inputs) reached.insert(input.stage);
  }
  return reached;
}

absl::StatusOr<std::vector<size_t>> Goals(const Plan& plan, config::Stage::KindCase kind) {
  std::vector<size_t> goals;
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    if (plan.stages[i].config->kind_case() == kind) goals.push_back(i);
  }
  if (goals.empty()) {
    std::set<std::string> kinds;
    for (const PlannedStage& stage : plan.stages) kinds.insert(KindName(stage.config->kind_case()));
    return absl::InvalidArgumentError(absl::StrCat(
        "pipeline \"", plan.pipeline->name(), "\" has no ", KindName(kind), " stage; it has: ",
        absl::StrJoin(kinds, ", "), ". Run the program of one of these, as in //pipelines:", *kinds.begin()));
  }
  const std::set<size_t> reached = WithInputs(plan, goals);
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const PlannedStage& stage = plan.stages[i];
    if (!stage.config->has_report() || reached.count(i) > 0) continue;
    const auto is_trained = [&](const PlannedStage::Input& input) {
      if (reached.count(input.stage) > 0) return true;
      const std::vector<PlannedStage::Input>& further = plan.stages[input.stage].inputs;
      return plan.stages[input.stage].config->has_evaluate() &&
             std::all_of(further.begin(), further.end(),
                         [&](const PlannedStage::Input& from) { return reached.count(from.stage) > 0; });
    };
    if (std::all_of(stage.inputs.begin(), stage.inputs.end(), is_trained)) goals.push_back(i);
  }
  std::sort(goals.begin(), goals.end());
  return goals;
}

namespace {

// Lines of `from` and `to` that the other lacks, the first of them shown; `count` gets the number of all.
std::string Difference(absl::string_view from, absl::string_view to, size_t* count) {
  const std::vector<std::string> old_lines = absl::StrSplit(from, '\n', absl::SkipEmpty());
  const std::vector<std::string> new_lines = absl::StrSplit(to, '\n', absl::SkipEmpty());
  const std::set<std::string> old_set(old_lines.begin(), old_lines.end());
  const std::set<std::string> new_set(new_lines.begin(), new_lines.end());
  std::vector<std::string> differences;
  for (const std::string& line : old_lines) {
    if (new_set.count(line) == 0) differences.push_back(absl::StrCat("-", line));
  }
  for (const std::string& line : new_lines) {
    if (old_set.count(line) == 0) differences.push_back(absl::StrCat("+", line));
  }
  // The same lines in another order: of several teachers, whose weights go with their places.
  if (differences.empty()) differences.push_back("the order or the number of its inputs");
  *count = differences.size();
  constexpr size_t kShown = 6;
  if (differences.size() > kShown) {
    const size_t more = differences.size() - kShown;
    differences.resize(kShown);
    differences.push_back(absl::StrCat("and ", more, " more"));
  }
  return absl::StrJoin(differences, "; ");
}

// Why `stage` is a miss.
std::string Reason(const PlannedStage& stage, const std::vector<ArtifactStore::Entry>& entries) {
  std::string nearest;
  size_t fewest = 0;
  for (const ArtifactStore::Entry& entry : entries) {
    if (entry.kind != KindName(stage.config->kind_case()) || !entry.artifact.ok()) continue;
    const absl::StatusOr<std::string> text = data::ReadFile(entry.artifact->File("key.txt"));
    if (!text.ok()) continue;
    size_t count = 0;
    std::string difference = Difference(*text, stage.key_text, &count);
    if (nearest.empty() || count < fewest) {
      nearest = std::move(difference);
      fewest = count;
    }
  }
  if (nearest.empty()) return "nothing of this kind is stored";
  return absl::StrCat("nearest stored one differs in: ", nearest);
}

}  // namespace

std::string DescribePlan(const Plan& plan, const std::vector<size_t>& goals, const ArtifactStore* store) {
  std::vector<ArtifactStore::Entry> entries;
  if (store != nullptr) {
    if (auto listed = store->List(/*verify=*/false); listed.ok()) entries = *std::move(listed);
  }
  std::set<size_t> needed(goals.begin(), goals.end());
  std::map<size_t, std::string> verdicts;
  for (size_t i = plan.stages.size(); i-- > 0;) {
    if (needed.count(i) == 0) continue;
    const PlannedStage& stage = plan.stages[i];
    const absl::Status found = store == nullptr ? absl::NotFoundError("no store")
                                                : store->Find(KindName(stage.config->kind_case()), stage.key).status();
    if (found.ok()) {
      verdicts[i] = "HIT";
      continue;
    }
    verdicts[i] =
        absl::StrCat("RUN   ", absl::IsNotFound(found) ? Reason(stage, entries) : std::string(found.message()));
    for (const PlannedStage::Input& input : stage.inputs) needed.insert(input.stage);
  }
  size_t width = 5;
  for (const auto& [i, verdict] : verdicts) width = std::max(width, plan.stages[i].name.size());
  std::string text;
  for (const auto& [i, verdict] : verdicts) {
    const PlannedStage& stage = plan.stages[i];
    absl::StrAppendFormat(&text, "%-*s  %-12s  %s  %s\n", static_cast<int>(width), stage.name,
                          KindName(stage.config->kind_case()), stage.key.substr(0, 16), verdict);
  }
  return text;
}

}  // namespace retort::pipelines
