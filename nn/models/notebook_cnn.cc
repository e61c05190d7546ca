#include "retort/nn/models/notebook_cnn.h"

#include <optional>
#include <string>
#include <utility>

#include "ATen/ops/_weight_norm.h"
#include "ATen/ops/conv2d.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/elu.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/norm_except_dim.h"
#include "ATen/ops/scalar_tensor.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/linear.h"

#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

// What torch.nn.utils.weight_norm makes of a convolution or linear layer.
class NormalisedWeight {
 public:
  // Takes over the first values of `layer`, whose weight is [out,...].
  template <typename Layer>
  NormalisedWeight(torch::nn::Module* root, const std::string& name, const Layer& layer) {
    torch::nn::Module* group = Group(root, name);
    const at::Tensor v = layer->weight.detach();
    bias_ = group->register_parameter("bias", layer->bias.detach());
    g_ = group->register_parameter("weight_g", at::norm_except_dim(v, /*pow=*/2, /*dim=*/0));
    v_ = group->register_parameter("weight_v", v);
  }

  at::Tensor Weight() const { return at::_weight_norm(v_, g_, /*dim=*/0); }
  const at::Tensor& Bias() const { return bias_; }

 private:
  at::Tensor bias_;
  at::Tensor g_;
  at::Tensor v_;
};

class NotebookCnnModel final : public ModuleModel {
 public:
  // ELU, pools and dropout have no parameters: they only take up an index in `features` and `classifier`.
  NotebookCnnModel(const NotebookCnn& architecture, const ModelShape& shape) : dropout_(architecture.dropout) {
    if (architecture.raw_weight) root().register_parameter("raw_weight", at::scalar_tensor(0.5));
    int64_t channels = shape.channels;
    int64_t height = shape.height;
    int64_t width = shape.width;
    int index = 0;
    for (const NotebookCnn::Stage& stage : architecture.stages) {
      stages_.emplace_back();
      for (int i = 0; i < stage.convolutions; ++i) {
        const auto convolution =
            Convolution(channels, stage.width, {/*kernel=*/3, /*stride=*/1, /*groups=*/1, /*bias=*/true});
        stages_.back().push_back({NormalisedWeight(&root(), absl::StrCat("features.", index), convolution),
                                  Register(&root(), absl::StrCat("features.", index + 2), BatchNorm(stage.width))});
        channels = stage.width;
        index += 3;
      }
      ++index;
      height /= 2;
      width /= 2;
    }
    hidden_.emplace(&root(), "classifier.0", torch::nn::Linear(channels * height * width, architecture.hidden));
    output_ = Register(&root(), "classifier.3", torch::nn::Linear(architecture.hidden, shape.classes));
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = images;
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (Layer& layer : stages_[stage]) {
        x = at::conv2d(x, layer.convolution.Weight(), layer.convolution.Bias(), /*stride=*/1, /*padding=*/1);
        if (&layer == &stages_[stage].back()) taps.Keep(TapName(stage) + ".preact", x);
        x = layer.norm->forward(at::elu(x));
      }
      x = at::max_pool2d(x, /*kernel_size=*/2);
      taps.Keep(TapName(stage), x);
    }
    x = x.flatten(1);
    if (request.embedding) outputs.embedding = x;
    x = at::elu(at::linear(x, hidden_->Weight(), hidden_->Bias()));
    outputs.logits = output_->forward(at::dropout(x, dropout_, training()));
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names;
    for (size_t stage = 0; stage < stages_.size(); ++stage) names.push_back(TapName(stage));
    return WithPreactivations(names);
  }

 private:
  struct Layer {
    NormalisedWeight convolution;
    torch::nn::BatchNorm2d norm;
  };

  std::string TapName(size_t stage) const {
    return stage + 1 == stages_.size() ? "features" : absl::StrCat("stage", stage + 1);
  }

  double dropout_;
  std::vector<std::vector<Layer>> stages_;
  std::optional<NormalisedWeight> hidden_;
  torch::nn::Linear output_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeNotebookCnn(const NotebookCnn& architecture, const ModelShape& shape) {
  const int64_t least = int64_t{1} << architecture.stages.size();
  if (shape.channels < 1 || shape.classes < 1 || shape.height < least || shape.width < least) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model cannot take ", shape.height, "x", shape.width, "x", shape.channels, " images of ", shape.classes,
        " classes: height and width must be at least ", least, ", channels and classes positive"));
  }
  return std::make_unique<NotebookCnnModel>(architecture, shape);
}

}  // namespace retort::nn
