#include "retort/pipelines/config/load_config.h"

#include <sys/stat.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/kd/presets/presets.h"
#include "retort/pipelines/config/checks/check_terms.h"
#include "retort/pipelines/config/checks/validate.h"
#include "retort/pipelines/config/fault.h"
#include "retort/pipelines/config/override.h"
#include "retort/pipelines/config/text.h"

namespace retort::pipelines {
namespace {

void ExpandPreset(config::Objective* objective) { *objective = kd::Expanded(*objective); }

}  // namespace

absl::StatusOr<config::Pipeline> LoadPipeline(const std::string& path, absl::Span<const std::string> overrides) {
  constexpr int64_t kMostBytes = 1 << 20;
  struct stat facts;
  if (stat(path.c_str(), &facts) == 0 && facts.st_size > kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", facts.st_size, " bytes are no config; permitted: ", kMostBytes));
  }
  RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(path));

  config::Pipeline pipeline;
  Said said;
  std::vector<Fault> faults;
  const bool readable = ReadMessage(text, &pipeline, &said, &faults);
  if (readable) {
    for (size_t i = 0; i < overrides.size(); ++i) {
      ApplyOverride(overrides[i], static_cast<int>(i), &pipeline, &said, &faults);
    }
    Validate(pipeline, said, &faults);
    if (faults.empty()) CheckTerms(pipeline, said, &faults);
  }
  if (!faults.empty()) return absl::InvalidArgumentError(FaultsText(path, overrides, pipeline, std::move(faults)));
  for (config::Stage& stage : *pipeline.mutable_stage()) {
    if (stage.has_finetune()) ExpandPreset(stage.mutable_finetune()->mutable_objective());
    if (stage.has_distill()) ExpandPreset(stage.mutable_distill()->mutable_objective());
  }
  return pipeline;
}

}  // namespace retort::pipelines
