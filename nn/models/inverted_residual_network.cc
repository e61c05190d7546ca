#include "retort/nn/models/inverted_residual_network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/hardsigmoid.h"
#include "ATen/ops/hardswish.h"
#include "ATen/ops/hardtanh.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/silu.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/linear.h"

#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

using Architecture = InvertedResidualNetwork;

// In place where the gradient needs no copy of x.
at::Tensor Activate(Activation activation, at::Tensor x) {
  switch (activation) {
    case Activation::kRelu:
      return x.relu_();
    case Activation::kRelu6:
      return at::hardtanh_(x, 0, 6);
    case Activation::kHardswish:
      return at::hardswish(x);
    case Activation::kSilu:
      return at::silu(x);
  }
  return x;
}

class SqueezeExcitation {
 public:
  SqueezeExcitation() = default;
  SqueezeExcitation(torch::nn::Module* root, const std::string& name, int64_t channels, int64_t squeezed)
      : fc1_(Register(root, name + ".fc1", Convolution(channels, squeezed, kWithBias))),
        fc2_(Register(root, name + ".fc2", Convolution(squeezed, channels, kWithBias))) {}

  at::Tensor Forward(const at::Tensor& x, Activation activation, Architecture::Gate gate) {
    at::Tensor scale = fc1_->forward(at::adaptive_avg_pool2d(x, {1, 1}));
    scale = fc2_->forward(Activate(activation, scale));
    return x * (gate == Architecture::Gate::kSigmoid ? scale.sigmoid() : at::hardsigmoid(scale));
  }

 private:
  static constexpr ConvolutionOptions kWithBias = {/*kernel=*/1, /*stride=*/1, /*groups=*/1, /*bias=*/true};

  torch::nn::Conv2d fc1_{nullptr};
  torch::nn::Conv2d fc2_{nullptr};
};

class Block {
 public:
  Block(torch::nn::Module* root, const Architecture& architecture, const Architecture::Block& block, int64_t in)
      : block_(block), gate_(architecture.gate), residual_(block.stride == 1 && in == block.width) {
    const NormOptions norm = {architecture.norm_eps, architecture.norm_momentum};
    int index = 0;
    const auto add = [&](int64_t from, int64_t to, const ConvolutionOptions& options, bool grouped) {
      const std::string group = absl::StrCat(block.name, ".", index);
      if (grouped) {
        ++index;
        return ConvolutionNorm(root, group + ".0", group + ".1", from, to, options, norm);
      }
      const std::string next = absl::StrCat(block.name, ".", index + 1);
      index += 3;  // the activation takes up an index
      return ConvolutionNorm(root, group, next, from, to, options, norm);
    };
    const bool grouped = architecture.names != Architecture::Names::kFlat;
    if (block.expanded != in || !grouped) expand_ = add(in, block.expanded, {/*kernel=*/1}, grouped);
    depthwise_ = add(block.expanded, block.expanded, {block.kernel, block.stride, /*groups=*/block.expanded}, grouped);
    if (block.squeezed > 0) {
      squeeze_ = SqueezeExcitation(root, absl::StrCat(block.name, ".", index), block.expanded, block.squeezed);
      ++index;
    }
    project_ = add(block.expanded, block.width, {/*kernel=*/1}, architecture.names == Architecture::Names::kGrouped);
  }

  at::Tensor Forward(const at::Tensor& x, bool training) {
    at::Tensor branch = expand_.empty() ? x : Activate(block_.activation, expand_.Forward(x));
    branch = Activate(block_.activation, depthwise_.Forward(branch));
    if (block_.squeezed > 0) branch = squeeze_.Forward(branch, SqueezeActivation(), gate_);
    branch = project_.Forward(branch);
    return residual_ ? DropPath(branch, block_.drop_path, training).add_(x) : branch;
  }

  const std::string& tap() const { return block_.tap; }

 private:
  // MobileNetV3 has ReLU here in blocks with hardswish, too.
  Activation SqueezeActivation() const {
    return block_.activation == Activation::kSilu ? Activation::kSilu : Activation::kRelu;
  }

  Architecture::Block block_;
  Architecture::Gate gate_;
  bool residual_;
  ConvolutionNorm expand_;
  ConvolutionNorm depthwise_;
  SqueezeExcitation squeeze_;
  ConvolutionNorm project_;
};

class InvertedResidualNetworkModel final : public ModuleModel {
 public:
  InvertedResidualNetworkModel(Architecture architecture, const ModelShape& shape)
      : architecture_(std::move(architecture)) {
    const NormOptions norm = {architecture_.norm_eps, architecture_.norm_momentum};
    stem_ = ConvolutionNorm(&root(), architecture_.stem_name + ".0", architecture_.stem_name + ".1", shape.channels,
                            architecture_.stem_width, {/*kernel=*/3, /*stride=*/2}, norm);
    int64_t channels = architecture_.stem_width;
    for (const Architecture::Block& block : architecture_.blocks) {
      blocks_.emplace_back(&root(), architecture_, block, channels);
      channels = block.width;
    }
    head_ = ConvolutionNorm(&root(), architecture_.head_name + ".0", architecture_.head_name + ".1", channels,
                            architecture_.head_width, {/*kernel=*/1}, norm);
    channels = architecture_.head_width;
    if (architecture_.hidden > 0) {
      hidden_ = Register(&root(), architecture_.hidden_name, torch::nn::Linear(channels, architecture_.hidden));
      channels = architecture_.hidden;
    }
    classifier_ = Register(&root(), architecture_.classifier_name, torch::nn::Linear(channels, shape.classes));

    InitConvolutionsByFanOut(&root());
    if (architecture_.linear_deviation > 0) {
      InitLinears(&root(), architecture_.linear_deviation);
    } else {
      const double bound = 1 / std::sqrt(static_cast<double>(shape.classes));
      torch::nn::init::uniform_(classifier_->weight, -bound, bound);
      torch::nn::init::zeros_(classifier_->bias);
    }
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = stem_.Forward(images);
    taps.Keep("stem.preact", x);
    x = Activate(architecture_.activation, taps.Wants("stem.preact") ? x.clone() : x);
    taps.Keep("stem", x);
    for (Block& block : blocks_) {
      x = block.Forward(x, training());
      if (!block.tap().empty()) taps.Keep(block.tap(), x);
    }
    x = MeanPool(Activate(architecture_.activation, head_.Forward(x)));
    if (request.embedding) outputs.embedding = x;
    if (!hidden_.is_empty()) x = Activate(architecture_.activation, hidden_->forward(x));
    outputs.logits = classifier_->forward(at::dropout(x, architecture_.dropout, training()));
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names = {"stem.preact", "stem"};
    for (const Block& block : blocks_) {
      if (!block.tap().empty()) names.push_back(block.tap());
    }
    return names;
  }

 private:
  Architecture architecture_;
  ConvolutionNorm stem_;
  std::vector<Block> blocks_;
  ConvolutionNorm head_;
  torch::nn::Linear hidden_{nullptr};
  torch::nn::Linear classifier_{nullptr};
};

}  // namespace

std::unique_ptr<Model> MakeInvertedResidualNetwork(const InvertedResidualNetwork& architecture,
                                                   const ModelShape& shape) {
  return std::make_unique<InvertedResidualNetworkModel>(architecture, shape);
}

int64_t RoundToEight(double channels) {
  const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + 8 : rounded;
}

}  // namespace retort::nn
