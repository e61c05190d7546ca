#include "retort/tools/model/subject.h"

#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/build_model.h"
#include "retort/nn/key_maps/key_map.h"
#include "retort/nn/weights.h"
#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/config/load_config.h"
#include "retort/pipelines/config/schema_rules.h"
#include "retort/pipelines/config/text.h"
#include "retort/pipelines/payload/model_metadata.h"

namespace retort::tools {
namespace {

constexpr int kDefaultSide = 32;
constexpr int kDefaultChannels = 3;
constexpr int kDefaultClasses = 10;

absl::StatusOr<config::Model> ParseModel(const std::string& text) {
  config::Model model;
  pipelines::Said said;
  std::vector<pipelines::Fault> faults;
  if (pipelines::ReadMessage(text, &model, &said, &faults)) {
    pipelines::CheckSchemaRules(pipelines::Cursor(model, said, &faults));
  }
  if (faults.empty()) return model;
  std::vector<std::string> lines;
  for (const pipelines::Fault& fault : faults) {
    std::string path;
    for (const pipelines::PathStep& step : fault.path) absl::StrAppend(&path, step.field->name(), ": ");
    lines.push_back(absl::StrCat("--model:", fault.place.line, ":", fault.place.column, ": ", path, fault.what));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

absl::StatusOr<config::Model> ModelOfStage(const std::string& path, const std::string& name) {
  RETORT_ASSIGN_OR_RETURN(const config::Pipeline pipeline, pipelines::LoadPipeline(path, {}));
  std::vector<std::string> names;
  const config::Model* found = nullptr;
  for (const config::Stage& stage : pipeline.stage()) {
    if (!stage.has_finetune() && !stage.has_distill()) continue;
    names.push_back(stage.name());
    if (name.empty() || stage.name() == name) {
      found = stage.has_finetune() ? &stage.finetune().model() : &stage.distill().model();
    }
  }
  if (found != nullptr && (!name.empty() || names.size() == 1)) return *found;
  const std::string fault = name.empty() ? "say which stage by --stage" : absl::StrCat("no model is in --stage=", name);
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", fault, "; stages with a model: ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<nn::KeyMap> NamedKeyMap(const std::string& name) {
  config::KnownKeyMap known = config::SAME_NAMES;
  if (!name.empty() && !config::KnownKeyMap_Parse(name, &known)) {
    std::vector<std::string> permitted;
    for (int i = config::KnownKeyMap_MIN; i <= config::KnownKeyMap_MAX; ++i) {
      permitted.push_back(config::KnownKeyMap_Name(static_cast<config::KnownKeyMap>(i)));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("--key_map=", name, " is unknown; permitted: ", absl::StrJoin(permitted, ", ")));
  }
  return nn::KeyMap::Create(known, {});
}

absl::StatusOr<config::TrainedModel> FromMetadata(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(path));
  absl::StatusOr<config::TrainedModel> description = pipelines::ReadModelMetadata(file.metadata());
  if (description.ok()) return description;
  if (absl::IsNotFound(description.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " does not say what model it is of; give --model or --config as well"));
  }
  return absl::Status(description.status().code(), absl::StrCat(path, ": ", description.status().message()));
}

}  // namespace

absl::StatusOr<config::TrainedModel> DescribeSubject(const SubjectSource& source) {
  config::TrainedModel description;
  if (!source.model.empty()) {
    RETORT_ASSIGN_OR_RETURN(*description.mutable_model(), ParseModel(source.model));
  } else if (!source.config.empty()) {
    RETORT_ASSIGN_OR_RETURN(*description.mutable_model(), ModelOfStage(source.config, source.stage));
  } else {
    RETORT_ASSIGN_OR_RETURN(description, FromMetadata(source.weights));
  }
  const auto choose = [](absl::optional<int> wanted, int known, int usual) {
    return wanted.value_or(known > 0 ? known : usual);
  };
  description.set_channels(choose(source.channels, description.channels(), kDefaultChannels));
  description.set_height(choose(source.height, description.height(), kDefaultSide));
  description.set_width(choose(source.width, description.width(), kDefaultSide));
  return description;
}

int ClassCount(const config::TrainedModel& description, const SubjectSource& source) {
  const int named = description.class_name_size();
  return source.classes.value_or(named > 0 ? named : kDefaultClasses);
}

absl::StatusOr<std::unique_ptr<nn::Model>> BuildSubject(const config::TrainedModel& description,
                                                        const SubjectSource& source) {
  const nn::ModelShape shape = {.channels = description.channels(),
                                .height = description.height(),
                                .width = description.width(),
                                .classes = ClassCount(description, source)};
  RETORT_ASSIGN_OR_RETURN(std::unique_ptr<nn::Model> model,
                          nn::BuildModel(description.model(), shape, /*seed=*/0, /*channels_last=*/false));
  if (!source.weights.empty()) {
    RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(source.weights));
    nn::LoadOptions options;
    RETORT_ASSIGN_OR_RETURN(options.key_map, NamedKeyMap(source.key_map));
    RETORT_ASSIGN_OR_RETURN(const nn::LoadReport report, nn::LoadModel(file, model.get(), options));
    for (const std::string& line : report.Lines()) std::cerr << "weights: " << line << "\n";
  }
  model->SetTraining(false);
  return model;
}

}  // namespace retort::tools
