#include "retort/nn/models/cifar_resnet.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/residual_network.h"

namespace retort::nn {

absl::StatusOr<std::unique_ptr<Model>> MakeCifarResNet(const config::CifarResNet& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "cifar_resnet"));
  const int depth = config.depth();
  if (depth < 8 || depth % 6 != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cifar_resnet: depth ", depth, " is not 6n + 2 for an n >= 1; choose one of 8, 14, 20, 26, 32, ..."));
  }
  const int blocks = (depth - 2) / 6;
  ResidualNetwork architecture;
  architecture.stem_width = config.stem_width();
  for (const int64_t widening : {1, 2, 4}) architecture.stages.push_back({config.width() * widening, blocks});
  return MakeResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
