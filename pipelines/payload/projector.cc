#include "retort/pipelines/payload/projector.h"

#include <iterator>
#include <map>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/weights.h"

namespace retort::pipelines {

absl::StatusOr<bool> SaveProjector(const std::string& folder, const config::Objective& config,
                                   const kd::Objective& objective) {
  std::vector<nn::NamedTensor> parts;
  std::map<std::string, std::string> metadata;
  for (int i = 0; i < config.term_size(); ++i) {
    if (!config.term(i).has_sim_kd()) continue;
    const std::string& term = objective.names()[static_cast<size_t>(i)];
    metadata[absl::StrCat(term, ".student_tap")] = config.term(i).sim_kd().pair().student();
    metadata[absl::StrCat(term, ".teacher_tap")] = config.term(i).sim_kd().pair().teacher();
    for (const std::vector<nn::NamedTensor>& tensors : {objective.Parameters(), objective.Buffers()}) {
      absl::c_copy_if(tensors, std::back_inserter(parts), [&](const nn::NamedTensor& part) {
        return absl::StartsWith(part.first, absl::StrCat(term, "."));
      });
    }
  }
  if (parts.empty()) return false;
  RETORT_RETURN_IF_ERROR(nn::SaveTensors(absl::StrCat(folder, "/", kProjectorFile), parts, metadata));
  return true;
}

bool HasProjector(const config::Artifact& manifest) {
  return absl::c_any_of(manifest.file(),
                        [](const config::Artifact::File& file) { return file.name() == kProjectorFile; });
}

}  // namespace retort::pipelines
