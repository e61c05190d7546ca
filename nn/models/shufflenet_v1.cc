#include "retort/nn/models/shufflenet_v1.h"

#include <array>
#include <string>
#include <vector>

#include "ATen/ops/avg_pool2d.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/relu.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/modules/linear.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

constexpr int64_t kStemWidth = 24;
constexpr std::array<int, 3> kBlocks = {4, 8, 4};

class Block {
 public:
  // Where `shrinks`, the result has `in` channels of the shortcut and out - in of the branch.
  Block(torch::nn::Module* root, const std::string& name, int64_t in, int64_t out, int64_t first_groups, int64_t groups,
        bool shrinks)
      : shrinks_(shrinks), first_groups_(first_groups) {
    const int64_t branch = shrinks ? out - in : out;
    const int64_t middle = branch / 4;
    conv1_ =
        ConvolutionNorm(root, name + ".conv1", name + ".bn1", in, middle, {/*kernel=*/1, /*stride=*/1, first_groups});
    conv2_ = ConvolutionNorm(root, name + ".conv2", name + ".bn2", middle, middle,
                             {/*kernel=*/3, /*stride=*/shrinks ? 2 : 1, /*groups=*/middle});
    conv3_ =
        ConvolutionNorm(root, name + ".conv3", name + ".bn3", middle, branch, {/*kernel=*/1, /*stride=*/1, groups});
  }

  // Not yet through the last ReLU.
  at::Tensor Forward(const at::Tensor& x) {
    at::Tensor branch = conv1_.Forward(x).relu_();
    if (first_groups_ > 1) branch = ShuffleChannels(branch, first_groups_);
    branch = conv3_.Forward(conv2_.Forward(branch).relu_());
    if (!shrinks_) return branch.add_(x);
    return at::cat({branch, at::avg_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1)}, 1);
  }

 private:
  bool shrinks_;
  int64_t first_groups_;
  ConvolutionNorm conv1_;
  ConvolutionNorm conv2_;
  ConvolutionNorm conv3_;
};

class ShuffleNetV1 final : public ModuleModel {
 public:
  ShuffleNetV1(const config::ShuffleNetV1& config, const ModelShape& shape) {
    stem_ = ConvolutionNorm(&root(), "conv1", "bn1", shape.channels, kStemWidth, {/*kernel=*/1});
    int64_t channels = kStemWidth;
    for (size_t stage = 0; stage < kBlocks.size(); ++stage) {
      const int64_t width = int64_t{config.width()} << stage;
      for (int i = 0; i < kBlocks[stage]; ++i) {
        const int64_t first_groups = stage == 0 && i == 0 ? 1 : config.groups();
        stages_[stage].emplace_back(&root(), absl::StrCat("layer", stage + 1, ".", i), channels, width, first_groups,
                                    config.groups(), /*shrinks=*/i == 0);
        channels = width;
      }
    }
    linear_ = root().register_module("linear", torch::nn::Linear(channels, shape.classes));
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = taps.Relu("stem", stem_.Forward(images));
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      for (size_t i = 0; i + 1 < stages_[stage].size(); ++i) x = stages_[stage][i].Forward(x).relu_();
      x = taps.Relu(absl::StrCat("stage", stage + 1), stages_[stage].back().Forward(x));
    }
    x = MeanPool(x);
    if (request.embedding) outputs.embedding = x;
    outputs.logits = linear_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    return WithPreactivations({"stem", "stage1", "stage2", "stage3"});
  }

 private:
  ConvolutionNorm stem_;
  std::array<std::vector<Block>, 3> stages_;
  torch::nn::Linear linear_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeShuffleNetV1(const config::ShuffleNetV1& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "shufflenet_v1"));
  const int64_t width = config.width();
  const int64_t groups = config.groups();
  // Quarters of the branches are convolved in groups, and so are the stages' channels.
  if (width <= kStemWidth || width % 8 != 0 || width % (4 * groups) != 0 || (width - kStemWidth) % (4 * groups) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "shufflenet_v1: width ", width, " does not go with groups ", groups, "; ", "width and width - ", kStemWidth,
        " must be positive multiples of ", 4 * groups, ", such as width 240 with groups 3 or width 200 with groups 2"));
  }
  return std::make_unique<ShuffleNetV1>(config, shape);
}

}  // namespace retort::nn
