#include "retort/pipelines/stage.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"

namespace retort::pipelines {

const StageInput* StageContext::FindInput(absl::string_view role) const {
  for (const StageInput& input : inputs) {
    if (input.role == role) return &input;
  }
  return nullptr;
}

absl::StatusOr<const StageInput*> StageContext::Input(absl::string_view role) const {
  if (const StageInput* input = FindInput(role); input != nullptr) return input;
  const auto name = [](std::string* out, const StageInput& input) { out->append(input.role); };
  return absl::FailedPreconditionError(absl::StrCat("stage \"", stage->name(), "\" has no input \"", role,
                                                    "\"; it has: ", absl::StrJoin(inputs, ", ", name)));
}

std::vector<const StageInput*> StageContext::Inputs(absl::string_view role) const {
  std::vector<const StageInput*> found;
  for (const StageInput& input : inputs) {
    if (input.role == role) found.push_back(&input);
  }
  return found;
}

std::string KindName(config::Stage::KindCase kind) {
  const google::protobuf::FieldDescriptor* field = config::Stage::descriptor()->FindFieldByNumber(kind);
  return field == nullptr ? "none" : field->name();
}

const config::InitialWeights* InitialWeightsOf(const config::Stage& stage) {
  if (stage.finetune().has_initial_weights()) return &stage.finetune().initial_weights();
  if (stage.distill().has_initial_weights()) return &stage.distill().initial_weights();
  return nullptr;
}

}  // namespace retort::pipelines
