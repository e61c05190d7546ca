#include "retort/nn/models/vgg.h"

#include <array>
#include <string>
#include <vector>

#include "ATen/ops/max_pool2d.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/linear.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

constexpr std::array<int64_t, 5> kWidths = {64, 128, 256, 512, 512};
const char* const kTaps[] = {"stem", "stage1", "stage2", "stage3", "stage4"};

// Layers of each stage.
std::array<int, 5> LayersOf(config::Vgg::Depth depth) {
  switch (depth) {
    case config::Vgg::VGG_8:
      return {1, 1, 1, 1, 1};
    case config::Vgg::VGG_11:
      return {1, 1, 2, 2, 2};
    case config::Vgg::VGG_13:
      return {2, 2, 2, 2, 2};
    case config::Vgg::VGG_16:
      return {2, 2, 3, 3, 3};
    case config::Vgg::VGG_19:
      return {2, 2, 4, 4, 4};
  }
  return {};  // proto2 lets no other value through
}

class Vgg final : public ModuleModel {
 public:
  Vgg(const config::Vgg& config, const ModelShape& shape) : last_pool_(shape.height >= 64 && shape.width >= 64) {
    const std::array<int, 5> layers = LayersOf(config.depth());
    int64_t channels = shape.channels;
    for (size_t stage = 0; stage < layers.size(); ++stage) {
      for (int i = 0; i < layers[stage]; ++i) {
        // ReLU takes up the third index of a layer.
        const std::string name = absl::StrCat("block", stage, ".");
        stages_[stage].emplace_back(&root(), absl::StrCat(name, 3 * i), absl::StrCat(name, 3 * i + 1), channels,
                                    kWidths[stage],
                                    ConvolutionOptions{/*kernel=*/3, /*stride=*/1, /*groups=*/1, /*bias=*/true});
        channels = kWidths[stage];
      }
    }
    classifier_ = root().register_module("classifier", torch::nn::Linear(channels, shape.classes));
    InitConvolutionsByFanOut(&root());
    InitLinears(&root(), 0.01);
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = images;
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      if (stage > 0 && (stage < 4 || last_pool_)) x = at::max_pool2d(x, /*kernel_size=*/2);
      for (size_t i = 0; i + 1 < stages_[stage].size(); ++i) x = stages_[stage][i].Forward(x).relu_();
      x = taps.Relu(kTaps[stage], stages_[stage].back().Forward(x));
    }
    x = MeanPool(x);
    if (request.embedding) outputs.embedding = x;
    outputs.logits = classifier_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    return WithPreactivations({std::begin(kTaps), std::end(kTaps)});
  }

 private:
  bool last_pool_;
  std::array<std::vector<ConvolutionNorm>, 5> stages_;
  torch::nn::Linear classifier_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeVgg(const config::Vgg& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "vgg"));
  if (shape.height < 8 || shape.width < 8) {
    return absl::InvalidArgumentError(absl::StrCat("vgg: three pools leave nothing of ", shape.height, "x", shape.width,
                                                   " images; height and width must be at least 8"));
  }
  return std::make_unique<Vgg>(config, shape);
}

}  // namespace retort::nn
