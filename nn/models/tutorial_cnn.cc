#include "retort/nn/models/tutorial_cnn.h"

#include <string>
#include <utility>

#include "ATen/ops/conv2d.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/max_pool2d.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/conv.h"
#include "torch/nn/modules/linear.h"

#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

struct Stage {
  torch::nn::Conv2d layer;
  bool pool;
  std::string tap;
};

class TutorialCnnModel final : public ModuleModel {
 public:
  // Layers are built in the tutorial's order, since each draws its initial weights as it is built. ReLU, pools and
  // dropout have no parameters: they only take up an index in `features` and `classifier`.
  TutorialCnnModel(const TutorialCnn& architecture, const ModelShape& shape) : dropout_(architecture.dropout) {
    auto features = root().register_module("features", std::make_shared<torch::nn::Module>());
    auto classifier = root().register_module("classifier", std::make_shared<torch::nn::Module>());
    int64_t channels = shape.channels;
    int64_t shrink = 1;
    int64_t index = 0;
    for (const TutorialCnn::Stage& stage : architecture.stages) {
      torch::nn::Conv2d layer = Convolution(channels, stage.filters, {/*kernel=*/3, /*stride=*/1, /*groups=*/1, true});
      features->register_module(absl::StrCat(index), layer);
      index += stage.pool ? 3 : 2;
      shrink *= stage.pool ? 2 : 1;
      channels = stage.filters;
      const bool last = convolutions_.size() + 1 == architecture.stages.size();
      convolutions_.push_back({layer, stage.pool, last ? "features" : absl::StrCat("conv", convolutions_.size() + 1)});
    }
    const int64_t embedding = channels * (shape.height / shrink) * (shape.width / shrink);
    hidden_ = classifier->register_module("0", torch::nn::Linear(embedding, architecture.hidden));
    output_ = classifier->register_module("3", torch::nn::Linear(architecture.hidden, shape.classes));
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = images;
    for (const Stage& convolution : convolutions_) {
      x = at::conv2d(x, convolution.layer->weight, convolution.layer->bias, /*stride=*/1, /*padding=*/1);
      // The tutorial pools after the ReLU. Both only pick or clip values and ReLU is monotonic, so the order changes
      // neither values nor gradients, but ReLU after the pool touches a quarter of the memory: LightNn's training
      // step at batch 128 went from 14.6 to 16.7 thousand images/s (two AVX-512 cores, f32, channels_last).
      if (convolution.pool) x = at::max_pool2d(x, /*kernel_size=*/2);
      x = taps.Relu(convolution.tap, x);
    }
    // flatten() goes by the dimensions, C,H,W, also where memory is channels_last.
    x = x.flatten(1);
    if (request.embedding) outputs.embedding = x;
    x = at::linear(x, hidden_->weight, hidden_->bias).relu_();
    x = at::dropout(x, dropout_, training());
    outputs.logits = at::linear(x, output_->weight, output_->bias);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names;
    for (const Stage& convolution : convolutions_) names.push_back(convolution.tap);
    return WithPreactivations(names);
  }

 private:
  std::vector<Stage> convolutions_;
  torch::nn::Linear hidden_{nullptr};
  torch::nn::Linear output_{nullptr};
  double dropout_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeTutorialCnn(const TutorialCnn& architecture, const ModelShape& shape) {
  int64_t shrink = 1;
  for (const TutorialCnn::Stage& stage : architecture.stages) shrink *= stage.pool ? 2 : 1;
  if (shape.channels < 1 || shape.classes < 1 || shape.height < 1 || shape.width < 1 || shape.height % shrink != 0 ||
      shape.width % shrink != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model cannot take ", shape.height, "x", shape.width, "x", shape.channels, " images of ", shape.classes,
        " classes: height and width must be positive multiples of ", shrink, ", channels and classes positive"));
  }
  return std::make_unique<TutorialCnnModel>(architecture, shape);
}

}  // namespace retort::nn
