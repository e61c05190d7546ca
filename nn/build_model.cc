#include "retort/nn/build_model.h"

#include "ATen/Context.h"
#include "ATen/core/grad_mode.h"
#include "absl/status/status.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/deep_nn.h"
#include "retort/nn/models/light_nn.h"
#include "retort/nn/models/resnet.h"
#include "retort/nn/models/vit.h"

namespace retort::nn {
namespace {

absl::StatusOr<std::unique_ptr<Model>> BuildFamily(const config::Model& config, const ModelShape& shape) {
  switch (config.family_case()) {
    case config::Model::kDeepNn:
      return MakeDeepNn(config.deep_nn(), shape);
    case config::Model::kLightNn:
      return MakeLightNn(config.light_nn(), shape);
    case config::Model::kResnet:
      return MakeResNet(config.resnet(), shape);
    case config::Model::kVit:
      return MakeVit(config.vit(), shape);
    case config::Model::FAMILY_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("model: no family is chosen; choose one of deep_nn, light_nn, resnet, vit");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> BuildModel(const config::Model& config, const ModelShape& shape, uint64_t seed,
                                                  bool channels_last) {
  at::manual_seed(seed);
  RETORT_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, BuildFamily(config, shape));
  if (channels_last) {
    for (auto& [name, parameter] : model->Parameters()) {
      if (parameter.dim() == 4) parameter.set_data(parameter.detach().contiguous(at::MemoryFormat::ChannelsLast));
    }
  }
  return model;
}

int64_t CountParameters(const Model& model) {
  int64_t count = 0;
  for (const auto& [name, parameter] : model.Parameters()) count += parameter.numel();
  return count;
}

}  // namespace retort::nn
