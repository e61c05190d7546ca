#include "retort/nn/models/residual.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/residual_network.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeResidual(const config::Residual& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "residual"));
  if (config.depth() < 7) {
    return absl::InvalidArgumentError(
        absl::StrCat("residual: depth ", config.depth(), " leaves a stage without a block; choose at least 7"));
  }
  const int blocks = (config.depth() - 2) / 6;
  const int remainder = (config.depth() - 2) % 6;
  ResidualNetwork architecture;
  architecture.stem_width = config.width();
  architecture.stages = {{config.width(), blocks + (remainder > 0 ? 1 : 0)},
                         {int64_t{2} * config.width(), blocks + (remainder > 2 ? 1 : 0)},
                         {int64_t{4} * config.width(), blocks + (remainder > 4 ? 1 : 0)}};
  architecture.init = ResidualNetwork::Init::kPyTorch;
  return MakeResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
