#include "retort/pipelines/stages/report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/config/checks/shape_of_data.h"
#include "retort/pipelines/config/references.h"
#include "retort/pipelines/payload/evaluation_json.h"
#include "retort/pipelines/reporting/report.h"

namespace retort::pipelines {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The name of the alternative that is chosen in `message`'s only oneof: "light_nn", "cross_entropy".
std::string Chosen(const google::protobuf::Message& message) {
  const google::protobuf::FieldDescriptor* field =
      message.GetReflection()->GetOneofFieldDescriptor(message, message.GetDescriptor()->oneof_decl(0));
  return field == nullptr ? "" : field->name();
}

// "0.75 cross_entropy + 0.25 distill"
std::string Describe(const config::Objective& objective) {
  std::vector<std::string> terms;
  for (const config::Term& term : objective.term()) {
    terms.push_back(term.weight() == 1 ? Chosen(term) : absl::StrCat(term.weight(), " ", Chosen(term)));
  }
  return absl::StrJoin(terms, " + ");
}

absl::StatusOr<std::vector<ReportEpoch>> ReadEpochs(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(path));
  std::vector<ReportEpoch> epochs;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return absl::DataLossError(absl::StrCat(path, ": not a JSON object: ", line));
    const auto number = [&json](const char* name) {
      const auto found = json.find(name);
      return found != json.end() && found->is_number() ? found->get<double>() : kNone;
    };
    epochs.push_back({.epoch = static_cast<int64_t>(number("epoch")),
                      .loss = number("loss"),
                      .accuracy = number("accuracy"),
                      .validation_loss = number("validation_loss"),
                      .validation_accuracy = number("validation_accuracy")});
  }
  return epochs;
}

// Of more classes, no page shows a confusion matrix.
constexpr size_t kMostClasses = 200;

// Adds what a replicate's evaluation says of classes and confidence. Replicates have the same classes, and the same
// bins.
absl::Status AddEvaluation(const StageInput& input, ReportRun* run) {
  RETORT_ASSIGN_OR_RETURN(EvaluationDetails details, ReadEvaluation(input.artifact.File("evaluation.json")));
  run->calibration.resize(std::max(run->calibration.size(), details.calibration.size()));
  for (size_t m = 0; m < details.calibration.size(); ++m) {
    run->calibration[m].images += details.calibration[m].images;
    run->calibration[m].correct += details.calibration[m].correct;
    run->calibration[m].confidence += details.calibration[m].confidence;
  }
  if (details.class_names.size() > kMostClasses) return absl::OkStatus();
  run->class_names = std::move(details.class_names);
  run->confusion.resize(details.confusion.size());
  for (size_t i = 0; i < details.confusion.size(); ++i) run->confusion[i] += details.confusion[i];
  return absl::OkStatus();
}

absl::StatusOr<ReportReplicate> ReadReplicate(const StageInput& input) {
  ReportReplicate replicate;
  replicate.seed = input.seed;
  replicate.seconds = input.artifact.manifest.seconds();
  replicate.images_per_second = input.artifact.Metric("trained_images").value_or(kNone) / replicate.seconds;
  replicate.key = input.artifact.manifest.key();
  RETORT_ASSIGN_OR_RETURN(replicate.accuracy, input.artifact.Metric("accuracy"));
  RETORT_ASSIGN_OR_RETURN(replicate.loss, input.artifact.Metric("loss"));
  RETORT_ASSIGN_OR_RETURN(replicate.ece, input.artifact.Metric("ece"));
  if (input.artifact.Metric("agreement").ok()) {
    // An alignment is no number where embeddings are all the same.
    const auto number = [&input](const char* name) { return input.artifact.Metric(name).value_or(kNone); };
    replicate.fidelity = ReportFidelity{.agreement = number("agreement"),
                                        .kl = number("kl"),
                                        .cka = number("cka"),
                                        .teacher_accuracy = number("teacher_accuracy"),
                                        .teacher_loss = number("teacher_loss"),
                                        .teacher_ece = number("teacher_ece")};
  }
  if (!input.config->has_evaluate()) {
    RETORT_ASSIGN_OR_RETURN(replicate.epochs, ReadEpochs(input.artifact.File("metrics.jsonl")));
  }
  return replicate;
}

// What the runs were measured on.
class MeasuredOn {
 public:
  explicit MeasuredOn(const StageContext& context) : pipeline_(*context.pipeline) {
    for (const StageInput& input : context.inputs) keys_of_[SourceOf(input)].insert(KeyOf(input));
  }

  absl::StatusOr<ReportImages> Of(const StageInput& input) const {
    RETORT_ASSIGN_OR_RETURN(const double count, input.artifact.Metric("images"));
    ReportImages images = {SourceOf(input), "test", std::llround(count)};
    // Different data of one source are told apart by their keys.
    if (keys_of_.at(images.dataset).size() > 1) absl::StrAppend(&images.dataset, " ", KeyOf(input).substr(0, 8));
    if (input.config->evaluate().split() == config::Evaluate::TRAIN) images.split = "training";
    return images;
  }

 private:
  // "cifar10"
  std::string SourceOf(const StageInput& input) const {
    const config::Stage* const stage = IngestBehind(pipeline_, input.name);
    return stage == nullptr ? "" : Chosen(stage->ingest());
  }

  // Of the data set's artifact.
  static std::string KeyOf(const StageInput& input) {
    for (const config::Artifact::Input& from : input.artifact.manifest.input()) {
      if (from.role() == "data") return from.key();
    }
    return "";
  }

  const config::Pipeline& pipeline_;
  std::map<std::string, std::set<std::string>> keys_of_;  // by source
};

absl::StatusOr<ReportRun> StartRun(const StageInput& input, const MeasuredOn& measured_on) {
  ReportRun run;
  RETORT_ASSIGN_OR_RETURN(run.images, measured_on.Of(input));
  run.name = input.name;
  run.kind = KindName(input.config->kind_case());
  RETORT_ASSIGN_OR_RETURN(const double parameters, input.artifact.Metric("parameters"));
  run.parameters = std::llround(parameters);
  run.macs = input.artifact.Metric("macs").value_or(kNone);
  if (input.config->has_finetune()) {
    run.model = Chosen(input.config->finetune().model());
    run.objective = Describe(input.config->finetune().objective());
  } else if (input.config->has_distill()) {
    run.model = Chosen(input.config->distill().model());
    run.objective = Describe(input.config->distill().objective());
  }
  return run;
}

}  // namespace

absl::StatusOr<StageOutput> RunReport(const StageContext& context) {
  ReportData report;
  report.pipeline = context.pipeline->name();
  report.config = PipelineBehind(*context.pipeline, context.stage->name()).DebugString();
  const MeasuredOn measured_on(context);
  for (const StageInput& input : context.inputs) {
    if (report.runs.empty() || report.runs.back().name != input.name) {
      RETORT_ASSIGN_OR_RETURN(ReportRun run, StartRun(input, measured_on));
      report.runs.push_back(std::move(run));
    }
    RETORT_RETURN_IF_ERROR(AddEvaluation(input, &report.runs.back()));
    RETORT_ASSIGN_OR_RETURN(ReportReplicate replicate, ReadReplicate(input));
    report.runs.back().replicates.push_back(std::move(replicate));
  }
  const std::pair<const char*, std::string> files[] = {{"results.json", ReportJson(report)},
                                                       {"report.html", ReportHtml(report)},
                                                       {"results.md", ReportMarkdown(report)},
                                                       {"table.txt", ReportTable(report)}};
  StageOutput output;
  for (const auto& [name, contents] : files) {
    RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(context.work_dir, "/", name), contents));
    output.files.push_back(name);
  }
  output.metrics = {{"runs", static_cast<double>(report.runs.size())}};
  return output;
}

}  // namespace retort::pipelines
