#include "retort/nn/models/wide_resnet.h"

#include <string>
#include <vector>

#include "ATen/ops/dropout.h"
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

class Block {
 public:
  Block(torch::nn::Module* root, const std::string& name, int64_t in, int64_t out, int64_t stride)
      : bn1_(Register(root, name + ".bn1", BatchNorm(in))),
        conv1_(Register(root, name + ".conv1", Convolution(in, out, {/*kernel=*/3, stride}))),
        bn2_(Register(root, name + ".bn2", BatchNorm(out))),
        conv2_(Register(root, name + ".conv2", Convolution(out, out, {/*kernel=*/3}))) {
    if (in != out) {
      shortcut_ = Register(root, name + ".convShortcut", Convolution(in, out, {/*kernel=*/1, stride}));
    }
  }

  // The block's first step, apart because the last one of it is a tap of the stage before.
  at::Tensor Normalised(const at::Tensor& x) { return bn1_->forward(x); }

  // `active` is Normalised(x) through ReLU.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& active, double dropout, bool training) {
    at::Tensor branch = bn2_->forward(conv1_->forward(active)).relu_();
    branch = conv2_->forward(at::dropout(branch, dropout, training));
    return branch.add_(shortcut_.is_empty() ? x : shortcut_->forward(active));
  }

 private:
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn2_;
  torch::nn::Conv2d conv2_;
  torch::nn::Conv2d shortcut_{nullptr};
};

// ReLU(x), in place where nobody sees x, the normalised output of `stage`.
at::Tensor Activated(TapKeeper* taps, const std::string& stage, at::Tensor x) {
  const std::string preactivation = stage + ".preact";
  taps->Keep(preactivation, x);
  x = taps->Wants(preactivation) ? at::relu(x) : x.relu_();
  taps->Keep(stage + ".act", x);
  return x;
}

class WideResNet final : public ModuleModel {
 public:
  WideResNet(const config::WideResNet& config, const ModelShape& shape) : dropout_(config.dropout()) {
    conv1_ = root().register_module("conv1", Convolution(shape.channels, 16, {/*kernel=*/3}));
    int64_t channels = 16;
    for (int stage = 0; stage < 3; ++stage) {
      stages_.emplace_back();
      const int64_t width = (int64_t{16} << stage) * config.widen();
      for (int i = 0; i < (config.depth() - 4) / 6; ++i) {
        stages_.back().emplace_back(&root(), absl::StrCat("block", stage + 1, ".layer.", i), channels, width,
                                    /*stride=*/stage > 0 && i == 0 ? 2 : 1);
        channels = width;
      }
    }
    bn1_ = root().register_module("bn1", BatchNorm(channels));
    fc_ = root().register_module("fc", torch::nn::Linear(channels, shape.classes));
    InitConvolutionsByFanOut(&root());
    torch::nn::init::zeros_(fc_->bias);
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = conv1_->forward(images);
    std::string tap = "stem";
    taps.Keep(tap, x);
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (Block& block : stages_[stage]) {
        at::Tensor active = block.Normalised(x);
        // A stage's first block normalises what the stage before, or the stem, has left.
        const bool first = &block == &stages_[stage].front();
        active = first ? Activated(&taps, tap, active) : active.relu_();
        x = block.Forward(x, active, dropout_, training());
      }
      tap = absl::StrCat("stage", stage + 1);
      taps.Keep(tap, x);
    }
    x = MeanPool(Activated(&taps, tap, bn1_->forward(x)));
    if (request.embedding) outputs.embedding = x;
    outputs.logits = fc_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names;
    for (const char* stage : {"stem", "stage1", "stage2", "stage3"}) {
      for (const char* suffix : {"", ".preact", ".act"}) names.push_back(absl::StrCat(stage, suffix));
    }
    return names;
  }

 private:
  double dropout_;
  torch::nn::Conv2d conv1_{nullptr};
  std::vector<std::vector<Block>> stages_;
  torch::nn::BatchNorm2d bn1_{nullptr};
  torch::nn::Linear fc_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeWideResNet(const config::WideResNet& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "wide_resnet"));
  if (config.depth() < 10 || config.depth() % 6 != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("wide_resnet: depth ", config.depth(),
                     " is not 6n + 4 for an n >= 1; choose one of 10, 16, 22, 28, 34, 40, ..."));
  }
  return std::make_unique<WideResNet>(config, shape);
}

}  // namespace retort::nn
