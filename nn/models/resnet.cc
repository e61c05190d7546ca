#include "retort/nn/models/resnet.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/adaptive_avg_pool2d.h"
#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/relu.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/linear.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

// Both blocks: x -> the sum of branch and shortcut, not yet through the ReLU.
class Block : public torch::nn::Module {
 public:
  virtual at::Tensor Forward(const at::Tensor& x) = 0;
  virtual torch::nn::BatchNorm2d LastNorm() const = 0;

 protected:
  // Called after the branch's layers, so that names and draws are in PyTorch's order.
  void AddShortcut(int64_t in, int64_t out, int64_t stride) {
    if (in == out && stride == 1) return;
    auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
    convolution_ = downsample->register_module("0", Convolution(in, out, {/*kernel=*/1, stride}));
    norm_ = downsample->register_module("1", BatchNorm(out));
  }

  at::Tensor Shortcut(const at::Tensor& x) {
    return convolution_.is_empty() ? x : norm_->forward(convolution_->forward(x));
  }

 private:
  torch::nn::Conv2d convolution_{nullptr};
  torch::nn::BatchNorm2d norm_{nullptr};
};

// Two 3x3 convolutions.
class BasicBlock final : public Block {
 public:
  BasicBlock(int64_t in, int64_t width, int64_t stride)
      : conv1_(register_module("conv1", Convolution(in, width, {/*kernel=*/3, stride}))),
        bn1_(register_module("bn1", BatchNorm(width))),
        conv2_(register_module("conv2", Convolution(width, width, {/*kernel=*/3}))),
        bn2_(register_module("bn2", BatchNorm(width))) {
    AddShortcut(in, width, stride);
  }

  at::Tensor Forward(const at::Tensor& x) override {
    const at::Tensor hidden = bn1_->forward(conv1_->forward(x)).relu_();
    return bn2_->forward(conv2_->forward(hidden)).add_(Shortcut(x));
  }

  torch::nn::BatchNorm2d LastNorm() const override { return bn2_; }

 private:
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_;
};

// 1x1 to `width`, 3x3 with the stride, 1x1 to four times `width`.
class Bottleneck final : public Block {
 public:
  Bottleneck(int64_t in, int64_t width, int64_t stride)
      : conv1_(register_module("conv1", Convolution(in, width, {/*kernel=*/1}))),
        bn1_(register_module("bn1", BatchNorm(width))),
        conv2_(register_module("conv2", Convolution(width, width, {/*kernel=*/3, stride}))),
        bn2_(register_module("bn2", BatchNorm(width))),
        conv3_(register_module("conv3", Convolution(width, 4 * width, {/*kernel=*/1}))),
        bn3_(register_module("bn3", BatchNorm(4 * width))) {
    AddShortcut(in, 4 * width, stride);
  }

  at::Tensor Forward(const at::Tensor& x) override {
    at::Tensor hidden = bn1_->forward(conv1_->forward(x)).relu_();
    hidden = bn2_->forward(conv2_->forward(hidden)).relu_();
    return bn3_->forward(conv3_->forward(hidden)).add_(Shortcut(x));
  }

  torch::nn::BatchNorm2d LastNorm() const override { return bn3_; }

 private:
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Conv2d conv2_;
  torch::nn::BatchNorm2d bn2_;
  torch::nn::Conv2d conv3_;
  torch::nn::BatchNorm2d bn3_;
};

struct Architecture {
  bool bottleneck;
  std::array<int, 4> blocks;
};

Architecture ArchitectureOf(config::ResNet::Depth depth) {
  switch (depth) {
    case config::ResNet::RESNET_18:
      return {false, {2, 2, 2, 2}};
    case config::ResNet::RESNET_34:
      return {false, {3, 4, 6, 3}};
    case config::ResNet::RESNET_50:
      return {true, {3, 4, 6, 3}};
    case config::ResNet::RESNET_101:
      return {true, {3, 4, 23, 3}};
    case config::ResNet::RESNET_152:
      return {true, {3, 8, 36, 3}};
  }
  return {};  // proto2 lets no other value through
}

class ResNet final : public ModuleModel {
 public:
  ResNet(const config::ResNet& config, const ModelShape& shape) : stem_(config.stem()) {
    const Architecture architecture = ArchitectureOf(config.depth());
    conv1_ = root().register_module("conv1", stem_ == config::IMAGENET
                                                 ? Convolution(shape.channels, 64, {/*kernel=*/7, /*stride=*/2})
                                                 : Convolution(shape.channels, 64, {/*kernel=*/3}));
    bn1_ = root().register_module("bn1", BatchNorm(64));
    int64_t channels = 64;
    for (size_t stage = 0; stage < architecture.blocks.size(); ++stage) {
      auto layer = root().register_module(absl::StrCat("layer", stage + 1), std::make_shared<torch::nn::Module>());
      const int64_t width = int64_t{64} << stage;
      for (int i = 0; i < architecture.blocks[stage]; ++i) {
        const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
        std::shared_ptr<Block> block;
        if (architecture.bottleneck) {
          block = std::make_shared<Bottleneck>(channels, width, stride);
          channels = 4 * width;
        } else {
          block = std::make_shared<BasicBlock>(channels, width, stride);
          channels = width;
        }
        stages_[stage].push_back(layer->register_module(absl::StrCat(i), std::move(block)));
      }
    }
    fc_ = root().register_module("fc", torch::nn::Linear(channels, shape.classes));

    InitConvolutionsByFanOut(&root());
    if (config.zero_init_residual()) {
      for (const auto& stage : stages_) {
        for (const auto& block : stage) torch::nn::init::zeros_(block->LastNorm()->weight);
      }
    }
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = taps.Relu("stem", bn1_->forward(conv1_->forward(images)));
    if (stem_ == config::IMAGENET) x = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (size_t i = 0; i + 1 < stages_[stage].size(); ++i) x = stages_[stage][i]->Forward(x).relu_();
      x = taps.Relu(absl::StrCat("stage", stage + 1), stages_[stage].back()->Forward(x));
    }
    x = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
    if (request.embedding) outputs.embedding = x;
    outputs.logits = fc_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    return WithPreactivations({"stem", "stage1", "stage2", "stage3", "stage4"});
  }

 private:
  config::Stem stem_;
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::BatchNorm2d bn1_{nullptr};
  std::array<std::vector<std::shared_ptr<Block>>, 4> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeResNet(const config::ResNet& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "resnet"));
  return std::make_unique<ResNet>(config, shape);
}

}  // namespace retort::nn
