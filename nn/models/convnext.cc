#include "retort/nn/models/convnext.h"

#include <array>
#include <string>
#include <vector>

#include "ATen/ops/full.h"
#include "ATen/ops/gelu.h"
#include "ATen/ops/layer_norm.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/linear.h"
#include "torch/nn/modules/normalization.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"

namespace retort::nn {
namespace {

// [B,C,H,W] <-> [B,H,W,C]: views, and contiguous ones of channels_last memory.
at::Tensor ChannelsLast(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }
at::Tensor ChannelsFirst(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }

torch::nn::LayerNorm Norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

// A convolution whose windows do not overlap.
torch::nn::Conv2d Patches(int64_t in, int64_t out, int64_t size) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, size).stride(size));
}

class Block {
 public:
  Block(torch::nn::Module* root, const std::string& name, int64_t channels, double layer_scale, double drop_path)
      : layer_scale_(Group(root, name)->register_parameter("layer_scale", at::full({channels, 1, 1}, layer_scale))),
        convolution_(Register(root, name + ".block.0",
                              Convolution(channels, channels,
                                          {/*kernel=*/7, /*stride=*/1,
                                           /*groups=*/channels, /*bias=*/true}))),
        norm_(Register(root, name + ".block.2", Norm(channels))),
        expand_(Register(root, name + ".block.3", torch::nn::Linear(channels, 4 * channels))),
        project_(Register(root, name + ".block.5", torch::nn::Linear(4 * channels, channels))),
        drop_path_(drop_path) {}

  at::Tensor Forward(const at::Tensor& x, bool training) {
    at::Tensor branch = norm_->forward(ChannelsLast(convolution_->forward(x)));
    branch = ChannelsFirst(project_->forward(at::gelu(expand_->forward(branch))));
    return DropPath(layer_scale_ * branch, drop_path_, training).add_(x);
  }

 private:
  at::Tensor layer_scale_;  // [C,1,1]
  torch::nn::Conv2d convolution_;
  torch::nn::LayerNorm norm_;
  torch::nn::Linear expand_;
  torch::nn::Linear project_;
  double drop_path_;
};

struct Architecture {
  int64_t width;
  std::array<int, 4> blocks;
};

Architecture ArchitectureOf(config::ConvNext::Size size) {
  switch (size) {
    case config::ConvNext::TINY:
      return {96, {3, 3, 9, 3}};
    case config::ConvNext::SMALL:
      return {96, {3, 3, 27, 3}};
    case config::ConvNext::BASE:
      return {128, {3, 3, 27, 3}};
    case config::ConvNext::LARGE:
      return {192, {3, 3, 27, 3}};
  }
  return {};  // proto2 lets no other value through
}

class ConvNext final : public ModuleModel {
 public:
  ConvNext(const config::ConvNext& config, const ModelShape& shape) {
    const Architecture architecture = ArchitectureOf(config.size());
    double last_block = -1;
    for (const int blocks : architecture.blocks) last_block += blocks;

    stem_ = Register(&root(), "features.0.0", Patches(shape.channels, architecture.width, 4));
    stem_norm_ = Register(&root(), "features.0.1", Norm(architecture.width));
    int64_t channels = architecture.width;
    int block = 0;
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      if (stage > 0) {
        const std::string name = absl::StrCat("features.", 2 * stage);
        stages_[stage].shrink_norm = Register(&root(), name + ".0", Norm(channels));
        stages_[stage].shrink = Register(&root(), name + ".1", Patches(channels, 2 * channels, 2));
        channels *= 2;
      }
      for (int i = 0; i < architecture.blocks[stage]; ++i) {
        stages_[stage].blocks.emplace_back(&root(), absl::StrCat("features.", 2 * stage + 1, ".", i), channels,
                                           config.layer_scale(), config.drop_path() * block / last_block);
        ++block;
      }
    }
    norm_ = Register(&root(), "classifier.0", Norm(channels));
    classifier_ = Register(&root(), "classifier.2", torch::nn::Linear(channels, shape.classes));

    for (const auto& [name, parameter] : Parameters()) {
      if (absl::EndsWith(name, "bias")) torch::nn::init::zeros_(parameter);
      if (parameter.dim() == 2 || parameter.dim() == 4) InitTruncatedNormal(parameter, 0.02);
    }
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = ChannelsFirst(stem_norm_->forward(ChannelsLast(stem_->forward(images))));
    taps.Keep("stem", x);
    for (size_t stage = 0; stage < stages_.size(); ++stage) {
      if (stage > 0) {
        x = stages_[stage].shrink->forward(ChannelsFirst(stages_[stage].shrink_norm->forward(ChannelsLast(x))));
      }
      for (Block& block : stages_[stage].blocks) x = block.Forward(x, training());
      taps.Keep(absl::StrCat("stage", stage + 1), x);
    }
    x = norm_->forward(MeanPool(x));
    if (request.embedding) outputs.embedding = x;
    outputs.logits = classifier_->forward(x);
    return outputs;
  }

  std::vector<std::string> TapNames() const override { return {"stem", "stage1", "stage2", "stage3", "stage4"}; }

 private:
  struct Stage {
    torch::nn::LayerNorm shrink_norm{nullptr};
    torch::nn::Conv2d shrink{nullptr};
    std::vector<Block> blocks;
  };

  torch::nn::Conv2d stem_{nullptr};
  torch::nn::LayerNorm stem_norm_{nullptr};
  std::array<Stage, 4> stages_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear classifier_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeConvNext(const config::ConvNext& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "convnext"));
  if (shape.height < 32 || shape.width < 32) {
    return absl::InvalidArgumentError(absl::StrCat("convnext: nothing is left of ", shape.height, "x", shape.width,
                                                   " images after stride 32; height and width must be at least 32"));
  }
  return std::make_unique<ConvNext>(config, shape);
}

}  // namespace retort::nn
