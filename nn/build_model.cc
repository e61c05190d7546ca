#include "retort/nn/build_model.h"

#include "ATen/Context.h"
#include "ATen/core/grad_mode.h"
#include "absl/status/status.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/cifar_resnet.h"
#include "retort/nn/models/convnext.h"
#include "retort/nn/models/deep_nn.h"
#include "retort/nn/models/efficientnet.h"
#include "retort/nn/models/light_nn.h"
#include "retort/nn/models/mobilenet_v2.h"
#include "retort/nn/models/mobilenet_v3.h"
#include "retort/nn/models/notebook_deep_nn.h"
#include "retort/nn/models/notebook_light_nn.h"
#include "retort/nn/models/plain_cnn.h"
#include "retort/nn/models/residual.h"
#include "retort/nn/models/resnet.h"
#include "retort/nn/models/shufflenet_v1.h"
#include "retort/nn/models/shufflenet_v2.h"
#include "retort/nn/models/vgg.h"
#include "retort/nn/models/vit.h"
#include "retort/nn/models/wide_resnet.h"

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
    case config::Model::kCifarResnet:
      return MakeCifarResNet(config.cifar_resnet(), shape);
    case config::Model::kWideResnet:
      return MakeWideResNet(config.wide_resnet(), shape);
    case config::Model::kVgg:
      return MakeVgg(config.vgg(), shape);
    case config::Model::kResidual:
      return MakeResidual(config.residual(), shape);
    case config::Model::kPlainCnn:
      return MakePlainCnn(config.plain_cnn(), shape);
    case config::Model::kMobilenetV2:
      return MakeMobileNetV2(config.mobilenet_v2(), shape);
    case config::Model::kShufflenetV1:
      return MakeShuffleNetV1(config.shufflenet_v1(), shape);
    case config::Model::kShufflenetV2:
      return MakeShuffleNetV2(config.shufflenet_v2(), shape);
    case config::Model::kMobilenetV3:
      return MakeMobileNetV3(config.mobilenet_v3(), shape);
    case config::Model::kEfficientnet:
      return MakeEfficientNet(config.efficientnet(), shape);
    case config::Model::kConvnext:
      return MakeConvNext(config.convnext(), shape);
    case config::Model::kVit:
      return MakeVit(config.vit(), shape);
    case config::Model::kNotebookDeepNn:
      return MakeNotebookDeepNn(config.notebook_deep_nn(), shape);
    case config::Model::kNotebookLightNn:
      return MakeNotebookLightNn(config.notebook_light_nn(), shape);
    case config::Model::FAMILY_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "model: no family is chosen; choose one of deep_nn, light_nn, resnet, cifar_resnet, wide_resnet, vgg, residual, "
      "plain_cnn, mobilenet_v2, shufflenet_v1, shufflenet_v2, mobilenet_v3, efficientnet, convnext, vit, "
      "notebook_deep_nn, notebook_light_nn");
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
