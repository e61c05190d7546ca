#include "retort/nn/models/residual_network.h"

#include <string>
#include <utility>

#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/relu.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/linear.h"

#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

class Block {
 public:
  // Shortcut last, so that names and draws are in PyTorch's order.
  Block(torch::nn::Module* root, const std::string& name, int64_t in, int64_t width, int64_t stride, bool bottleneck) {
    const auto add = [&](int64_t from, int64_t to, int64_t kernel, int64_t step) {
      const size_t index = branch_.size() + 1;
      branch_.emplace_back(root, absl::StrCat(name, ".conv", index), absl::StrCat(name, ".bn", index), from, to,
                           ConvolutionOptions{kernel, step});
    };
    const int64_t out = bottleneck ? 4 * width : width;
    if (bottleneck) {
      add(in, width, 1, 1);
      add(width, width, 3, stride);
      add(width, out, 1, 1);
    } else {
      add(in, width, 3, stride);
      add(width, out, 3, 1);
    }
    if (in != out || stride != 1) {
      shortcut_ =
          ConvolutionNorm(root, name + ".downsample.0", name + ".downsample.1", in, out, {/*kernel=*/1, stride});
    }
  }

  // The sum of branch and shortcut, not yet through the ReLU.
  at::Tensor Forward(const at::Tensor& x) {
    at::Tensor hidden = x;
    for (size_t i = 0; i + 1 < branch_.size(); ++i) hidden = branch_[i].Forward(hidden).relu_();
    return branch_.back().Forward(hidden).add_(shortcut_.empty() ? x : shortcut_.Forward(x));
  }

  const at::Tensor& LastNormWeight() const { return branch_.back().NormWeight(); }

 private:
  std::vector<ConvolutionNorm> branch_;
  ConvolutionNorm shortcut_;
};

class ResidualNetworkModel final : public ModuleModel {
 public:
  ResidualNetworkModel(const ResidualNetwork& architecture, const ModelShape& shape) : pool_(architecture.stem) {
    stem_ = ConvolutionNorm(
        &root(), "conv1", "bn1", shape.channels, architecture.stem_width,
        pool_ == config::IMAGENET ? ConvolutionOptions{/*kernel=*/7, /*stride=*/2} : ConvolutionOptions{/*kernel=*/3});
    int64_t channels = architecture.stem_width;
    for (const ResidualNetwork::Stage& stage : architecture.stages) {
      stages_.emplace_back();
      for (int i = 0; i < stage.blocks; ++i) {
        stages_.back().emplace_back(&root(), absl::StrCat("layer", stages_.size(), ".", i), channels, stage.width,
                                    /*stride=*/stages_.size() > 1 && i == 0 ? 2 : 1, architecture.bottleneck);
        channels = architecture.bottleneck ? 4 * stage.width : stage.width;
      }
    }
    fc_ = root().register_module("fc", torch::nn::Linear(channels, shape.classes));

    if (architecture.init == ResidualNetwork::Init::kFanOut) InitConvolutionsByFanOut(&root());
    if (architecture.zero_init_residual) {
      for (const auto& stage : stages_) {
        for (const Block& block : stage) torch::nn::init::zeros_(block.LastNormWeight());
      }
    }
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = taps.Relu("stem", stem_.Forward(images));
    if (pool_ == config::IMAGENET) x = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (size_t i = 0; i + 1 < stages_[stage].size(); ++i) x = stages_[stage][i].Forward(x).relu_();
      x = taps.Relu(absl::StrCat("stage", stage + 1), stages_[stage].back().Forward(x));
    }
    x = MeanPool(x);
    if (request.embedding) outputs.embedding = x;
    outputs.logits = fc_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names = {"stem"};
    for (size_t stage = 1; stage <= stages_.size(); ++stage) names.push_back(absl::StrCat("stage", stage));
    return WithPreactivations(names);
  }

 private:
  config::Stem pool_;
  ConvolutionNorm stem_;
  std::vector<std::vector<Block>> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace

std::unique_ptr<Model> MakeResidualNetwork(const ResidualNetwork& architecture, const ModelShape& shape) {
  return std::make_unique<ResidualNetworkModel>(architecture, shape);
}

}  // namespace retort::nn
