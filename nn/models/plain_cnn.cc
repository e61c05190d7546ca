#include "retort/nn/models/plain_cnn.h"

#include "absl/status/status.h"

#include "retort/nn/models/tutorial_cnn.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakePlainCnn(const config::PlainCnn& config, const ModelShape& shape) {
  if (config.convolutions().empty()) {
    return absl::InvalidArgumentError(
        "plain_cnn has no convolutions; give the output channels of each: convolutions: [32, 64]");
  }
  TutorialCnn architecture;
  for (const int filters : config.convolutions()) architecture.stages.push_back({filters, /*pool=*/false});
  architecture.stages.back().pool = true;
  architecture.hidden = config.hidden();
  architecture.dropout = config.dropout();
  return MakeTutorialCnn(architecture, shape);
}

}  // namespace retort::nn
