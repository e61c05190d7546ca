#include "retort/tools/objective/evaluate_objective.h"

#include <algorithm>
#include <cmath>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/isfinite.h"
#include "ATen/ops/zeros_like.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "c10/util/Exception.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/kd/objective.h"
#include "retort/kd/presets/presets.h"
#include "retort/nn/weights.h"
#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/config/schema_rules.h"
#include "retort/pipelines/config/text.h"
#include "retort/tools/objective/bare_step.h"

namespace retort::tools {
namespace {

absl::StatusOr<config::Objective> ParseObjective(const std::string& text) {
  config::Objective objective;
  pipelines::Said said;
  std::vector<pipelines::Fault> faults;
  if (pipelines::ReadMessage(text, &objective, &said, &faults)) {
    pipelines::CheckSchemaRules(pipelines::Cursor(objective, said, &faults));
  }
  if (faults.empty()) return objective;
  std::vector<std::string> lines;
  for (const pipelines::Fault& fault : faults) {
    std::string path;
    for (const pipelines::PathStep& step : fault.path) absl::StrAppend(&path, step.field->name(), ": ");
    lines.push_back(absl::StrCat("--objective:", fault.place.line, ":", fault.place.column, ": ", path, fault.what));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// Parts that `file` has are read from it; the others keep what was drawn, if they are to be.
absl::Status ReadParts(const data::WeightFile& file, const kd::Objective& objective, bool drawn) {
  std::vector<nn::NamedTensor> parts;
  for (const auto& group : {objective.Parameters(), objective.Buffers()}) {
    for (const auto& [name, tensor] : group) parts.emplace_back(absl::StrCat(kPartPrefix, name), tensor);
  }
  nn::LoadOptions options;
  if (!parts.empty()) options.allow_missing = {"*"};
  options.allow_unexpected = {"student.*", "teacher.*", "images", "labels", "index", "negatives"};
  RETORT_ASSIGN_OR_RETURN(const nn::LoadReport report, nn::LoadTensors(file, parts, options));
  if (report.missing.empty() || drawn) return absl::OkStatus();
  std::vector<std::string> missing;
  for (const auto& [name, tensor] : parts) {
    if (std::count(report.missing.begin(), report.missing.end(), name) == 0) continue;
    missing.push_back(absl::StrCat(name, " [", absl::StrJoin(tensor.sizes(), ","), "]"));
  }
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": the objective has parts of its own; add ",
                                                 absl::StrJoin(missing, ", "), ", or draw them by --seed"));
}

absl::Status WriteGradients(const std::string& path, const std::vector<nn::NamedTensor>& leaves) {
  std::vector<nn::NamedTensor> gradients;
  for (const auto& [name, leaf] : leaves) {
    gradients.emplace_back(absl::StrCat("grad.", name), leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
    if (!at::isfinite(gradients.back().second).all().item<bool>()) {
      return absl::DataLossError(absl::StrCat("the gradient by ", name, " has NaN or infinity, the total has not"));
    }
  }
  return nn::SaveTensors(path, gradients, {});
}

absl::StatusOr<ObjectiveValues> Evaluate(const ObjectiveRequest& request) {
  RETORT_ASSIGN_OR_RETURN(const config::Objective said, ParseObjective(request.objective));
  const config::Objective config = kd::Expanded(said);
  RETORT_ASSIGN_OR_RETURN(kd::Objective objective, kd::Objective::Create(config));
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(request.tensors));
  RETORT_RETURN_IF_ERROR(file.Verify());
  RETORT_ASSIGN_OR_RETURN(const BareStep bare, BareStep::Create(file, config, objective.needs()));

  at::manual_seed(request.seed.value_or(0));
  const int64_t samples = request.samples > 0 ? request.samples : bare.samples();
  RETORT_ASSIGN_OR_RETURN(const BareStep::Built example, bare.Build(std::min<int64_t>(2, bare.images())));
  RETORT_RETURN_IF_ERROR(objective.Prepare(example.step, samples));
  RETORT_RETURN_IF_ERROR(ReadParts(file, objective, request.seed.has_value()));

  RETORT_ASSIGN_OR_RETURN(BareStep::Built built, bare.Build(bare.images()));
  built.step.epoch = request.epoch;
  RETORT_ASSIGN_OR_RETURN(const kd::Objective::Loss loss, objective.Compute(built.step));
  ObjectiveValues values;
  values.objective = kd::TermLines(config);
  std::vector<std::string> parts;
  for (size_t i = 0; i < loss.parts.size(); ++i) {
    values.terms.emplace_back(objective.names()[i], loss.parts[i].item<double>());
    parts.push_back(absl::StrCat(values.terms.back().first, " = ", values.terms.back().second));
  }
  values.total = loss.total.item<double>();
  if (!std::isfinite(values.total)) {
    return absl::DataLossError(absl::StrCat("the total is ", values.total, " (", absl::StrJoin(parts, ", "),
                                            "): look for NaN, infinity and numbers near it in ", request.tensors));
  }
  if (request.out.empty()) return values;
  if (loss.total.requires_grad()) loss.total.backward();
  for (const auto& [name, parameter] : objective.Parameters()) {
    built.leaves.emplace_back(absl::StrCat(kPartPrefix, name), parameter);
  }
  RETORT_RETURN_IF_ERROR(WriteGradients(request.out, built.leaves));
  return values;
}

}  // namespace

absl::StatusOr<ObjectiveValues> EvaluateObjective(const ObjectiveRequest& request) {
  absl::StatusOr<ObjectiveValues> values;
  try {
    values = Evaluate(request);
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("the objective failed: ", error.what_without_backtrace()));
  }
  // What a training may find wrong in the state of data and term, such as a label out of range, was given here.
  const absl::Status& status = values.status();
  if (absl::IsOutOfRange(status) || absl::IsFailedPrecondition(status)) {
    return absl::InvalidArgumentError(status.message());
  }
  return values;
}

}  // namespace retort::tools
