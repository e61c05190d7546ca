#include "retort/nn/models/shufflenet_v2.h"

#include <array>
#include <string>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/max_pool2d.h"
#include "ATen/ops/relu.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/linear.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

constexpr int64_t kStemWidth = 24;
constexpr std::array<int, 3> kBlocks = {4, 8, 4};

struct Widths {
  std::array<int64_t, 3> stages;
  int64_t head;
};

Widths WidthsOf(config::ShuffleNetV2::Size size) {
  switch (size) {
    case config::ShuffleNetV2::X0_5:
      return {{48, 96, 192}, 1024};
    case config::ShuffleNetV2::X1_0:
      return {{116, 232, 464}, 1024};
    case config::ShuffleNetV2::X1_5:
      return {{176, 352, 704}, 1024};
    case config::ShuffleNetV2::X2_0:
      return {{244, 488, 976}, 2048};
  }
  return {};  // proto2 lets no other value through
}

class Block {
 public:
  Block(torch::nn::Module* root, const std::string& name, config::Form form, int64_t in, int64_t out, bool shrinks)
      : half_(out / 2) {
    const int64_t stride = shrinks ? 2 : 1;
    const int64_t branch_in = shrinks ? in : half_;
    // The benchmark counts a block's convolutions; torchvision has a sequence for each branch, where ReLU counts too.
    int convolutions = 0;
    const auto add = [&](const char* branch, int index, int64_t from, int64_t to, const ConvolutionOptions& options) {
      ++convolutions;
      if (form == config::BENCHMARK) {
        return ConvolutionNorm(root, absl::StrCat(name, ".conv", convolutions), absl::StrCat(name, ".bn", convolutions),
                               from, to, options);
      }
      return ConvolutionNorm(root, absl::StrCat(name, branch, index), absl::StrCat(name, branch, index + 1), from, to,
                             options);
    };
    if (shrinks) {
      left_depthwise_ = add(".branch1.", 0, in, in, {/*kernel=*/3, stride, /*groups=*/in});
      left_ = add(".branch1.", 2, in, half_, {/*kernel=*/1});
    }
    right1_ = add(".branch2.", 0, branch_in, half_, {/*kernel=*/1});
    right_depthwise_ = add(".branch2.", 3, half_, half_, {/*kernel=*/3, stride, /*groups=*/half_});
    right2_ = add(".branch2.", 5, half_, half_, {/*kernel=*/1});
  }

  // Keeps the taps of `name`, if any.
  at::Tensor Forward(const at::Tensor& x, TapKeeper* taps, const std::string& name) {
    const bool shrinks = !left_.empty();
    const at::Tensor left = shrinks ? left_.Forward(left_depthwise_.Forward(x)).relu_() : x.slice(/*dim=*/1, 0, half_);
    at::Tensor right = right1_.Forward(shrinks ? x : x.slice(/*dim=*/1, half_)).relu_();
    right = right2_.Forward(right_depthwise_.Forward(right));
    if (!name.empty() && taps->Wants(name + ".preact")) taps->Keep(name + ".preact", at::cat({left, right}, 1));
    const at::Tensor y = ShuffleChannels(at::cat({left, right.relu_()}, 1), 2);
    if (!name.empty()) taps->Keep(name, y);
    return y;
  }

 private:
  int64_t half_;
  ConvolutionNorm left_depthwise_;
  ConvolutionNorm left_;
  ConvolutionNorm right1_;
  ConvolutionNorm right_depthwise_;
  ConvolutionNorm right2_;
};

class ShuffleNetV2 final : public ModuleModel {
 public:
  ShuffleNetV2(const config::ShuffleNetV2& config, const ModelShape& shape) : form_(config.form()) {
    const bool benchmark = form_ == config::BENCHMARK;
    const Widths widths = WidthsOf(config.size());
    stem_ = benchmark ? ConvolutionNorm(&root(), "conv1", "bn1", shape.channels, kStemWidth, {/*kernel=*/1})
                      : ConvolutionNorm(&root(), "conv1.0", "conv1.1", shape.channels, kStemWidth,
                                        {/*kernel=*/3, /*stride=*/2});
    int64_t channels = kStemWidth;
    for (size_t stage = 0; stage < kBlocks.size(); ++stage) {
      for (int i = 0; i < kBlocks[stage]; ++i) {
        const std::string name =
            benchmark ? absl::StrCat("layer", stage + 1, ".", i) : absl::StrCat("stage", stage + 2, ".", i);
        stages_[stage].emplace_back(&root(), name, form_, channels, widths.stages[stage], /*shrinks=*/i == 0);
        channels = widths.stages[stage];
      }
    }
    head_ = ConvolutionNorm(&root(), benchmark ? "conv2" : "conv5.0", benchmark ? "bn2" : "conv5.1", channels,
                            widths.head, {/*kernel=*/1});
    linear_ = root().register_module(benchmark ? "linear" : "fc", torch::nn::Linear(widths.head, shape.classes));
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = taps.Relu("stem", stem_.Forward(images));
    if (form_ == config::TORCHVISION) x = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (Block& block : stages_[stage]) {
        x = block.Forward(x, &taps, &block == &stages_[stage].back() ? absl::StrCat("stage", stage + 1) : "");
      }
    }
    x = MeanPool(head_.Forward(x).relu_());
    if (request.embedding) outputs.embedding = x;
    outputs.logits = linear_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    return WithPreactivations({"stem", "stage1", "stage2", "stage3"});
  }

 private:
  config::Form form_;
  ConvolutionNorm stem_;
  std::array<std::vector<Block>, 3> stages_;
  ConvolutionNorm head_;
  torch::nn::Linear linear_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeShuffleNetV2(const config::ShuffleNetV2& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "shufflenet_v2"));
  return std::make_unique<ShuffleNetV2>(config, shape);
}

}  // namespace retort::nn
