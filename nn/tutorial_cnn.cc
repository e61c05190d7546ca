#include "retort/nn/tutorial_cnn.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ATen/ops/conv2d.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/relu.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/conv.h"
#include "torch/nn/modules/linear.h"

#include "retort/nn/module_model.h"

namespace retort::nn {
namespace {

struct Convolution {
  torch::nn::Conv2d layer;
  bool pool;
  std::string tap;
};

class TutorialCnnModel final : public ModuleModel {
 public:
  TutorialCnnModel(std::shared_ptr<torch::nn::Module> root, std::vector<Convolution> convolutions,
                   torch::nn::Linear hidden, torch::nn::Linear output, double dropout)
      : ModuleModel(std::move(root)),
        convolutions_(std::move(convolutions)),
        hidden_(std::move(hidden)),
        output_(std::move(output)),
        dropout_(dropout) {}

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    at::Tensor x = images;
    for (const Convolution& convolution : convolutions_) {
      x = at::conv2d(x, convolution.layer->weight, convolution.layer->bias, /*stride=*/1, /*padding=*/1);
      // The tutorial pools after the ReLU. Both only pick or clip values and ReLU is monotonic, so the order changes
      // neither values nor gradients, but ReLU after the pool touches a quarter of the memory: LightNn's training
      // step at batch 128 went from 14.6 to 16.7 thousand images/s (two AVX-512 cores, f32, channels_last).
      if (convolution.pool) x = at::max_pool2d(x, /*kernel_size=*/2);
      x.relu_();
      if (Asked(request, convolution.tap)) outputs.taps[convolution.tap] = x;
    }
    // flatten() goes by the dimensions, C,H,W, also where memory is channels_last.
    x = x.flatten(1);
    if (request.embedding) outputs.embedding = x;
    x = at::linear(x, hidden_->weight, hidden_->bias).relu_();
    x = at::dropout(x, dropout_, training());
    outputs.logits = at::linear(x, output_->weight, output_->bias);
    TORCH_CHECK(outputs.taps.size() == request.taps.size(), "a tap was asked for that TapNames() does not list");
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names;
    for (const Convolution& convolution : convolutions_) names.push_back(convolution.tap);
    return names;
  }

 private:
  static bool Asked(const Request& request, const std::string& tap) {
    return std::find(request.taps.begin(), request.taps.end(), tap) != request.taps.end();
  }

  std::vector<Convolution> convolutions_;
  torch::nn::Linear hidden_;
  torch::nn::Linear output_;
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

  // Layers are built in the tutorial's order, since each draws its initial weights as it is built. ReLU, pools and
  // dropout have no parameters: they only take up an index in `features` and `classifier`.
  auto root = std::make_shared<torch::nn::Module>();
  auto features = root->register_module("features", std::make_shared<torch::nn::Module>());
  auto classifier = root->register_module("classifier", std::make_shared<torch::nn::Module>());

  std::vector<Convolution> convolutions;
  int64_t channels = shape.channels;
  int64_t index = 0;
  for (const TutorialCnn::Stage& stage : architecture.stages) {
    torch::nn::Conv2d layer(torch::nn::Conv2dOptions(channels, stage.filters, /*kernel_size=*/3).padding(1));
    features->register_module(absl::StrCat(index), layer);
    index += stage.pool ? 3 : 2;
    channels = stage.filters;
    const bool last = convolutions.size() + 1 == architecture.stages.size();
    convolutions.push_back({layer, stage.pool, last ? "features" : absl::StrCat("conv", convolutions.size() + 1)});
  }
  const int64_t embedding = channels * (shape.height / shrink) * (shape.width / shrink);
  torch::nn::Linear hidden(embedding, architecture.hidden);
  torch::nn::Linear output(architecture.hidden, shape.classes);
  classifier->register_module("0", hidden);
  classifier->register_module("3", output);
  return std::make_unique<TutorialCnnModel>(std::move(root), std::move(convolutions), std::move(hidden),
                                            std::move(output), architecture.dropout);
}

}  // namespace retort::nn
