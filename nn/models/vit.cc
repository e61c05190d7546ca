#include "retort/nn/models/vit.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/dropout.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/gelu.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/scaled_dot_product_attention.h"
#include "ATen/ops/softmax.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "torch/nn/init.h"
#include "torch/nn/modules/conv.h"
#include "torch/nn/modules/linear.h"
#include "torch/nn/modules/normalization.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/blocks.h"
#include "retort/nn/models/module_model.h"
#include "retort/nn/models/position_embedding.h"

namespace retort::nn {
namespace {

constexpr double kDeviation = 0.02;  // of first weights

torch::nn::LayerNorm LayerNorm(const config::Vit& config) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({config.width()}).eps(config.norm_eps()));
}

// The first `count` tokens of x [B,T,D]. Taking all of them costs nothing, in the backward pass neither.
at::Tensor FirstTokens(const at::Tensor& x, int64_t count) { return count == x.size(1) ? x : x.narrow(1, 0, count); }

class Block final : public torch::nn::Module {
 public:
  Block(const config::Vit& config, double drop_path) : config_(config), drop_path_(drop_path) {
    const int64_t width = config.width();
    const auto hidden = static_cast<int64_t>(static_cast<double>(width) * config.mlp_ratio());
    norm1_ = register_module("norm1", LayerNorm(config));
    auto attention = register_module("attn", std::make_shared<torch::nn::Module>());
    qkv_ = attention->register_module(
        "qkv", torch::nn::Linear(torch::nn::LinearOptions(width, 3 * width).bias(config.qkv_bias())));
    proj_ = attention->register_module("proj", torch::nn::Linear(width, width));
    norm2_ = register_module("norm2", LayerNorm(config));
    auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
    fc1_ = mlp->register_module("fc1", torch::nn::Linear(width, hidden));
    fc2_ = mlp->register_module("fc2", torch::nn::Linear(hidden, width));
  }

  // x [B,T,D] -> the first `count` of its tokens after the block, [B,count,D]. Probabilities [B,heads,count,T] go to
  // `attention` unless it is null.
  at::Tensor Forward(const at::Tensor& x, int64_t count, at::Tensor* attention) {
    const at::Tensor tokens = FirstTokens(x, count) + Branch(proj_->forward(Mix(norm1_->forward(x), count, attention)),
                                                             config_.projection_dropout());
    const at::Tensor hidden =
        at::dropout(at::gelu(fc1_->forward(norm2_->forward(tokens))), config_.mlp_dropout(), is_training());
    return tokens + Branch(fc2_->forward(hidden), config_.mlp_dropout());
  }

 private:
  // x [B,T,D] -> softmax(Q K^T / sqrt(D / heads)) V of the first `count` queries, heads side by side: [B,count,D].
  at::Tensor Mix(const at::Tensor& x, int64_t count, at::Tensor* attention) {
    const int64_t head_width = config_.width() / config_.heads();
    const std::vector<at::Tensor> qkv = qkv_->forward(x)
                                            .view({x.size(0), x.size(1), 3, config_.heads(), head_width})
                                            .permute({2, 0, 3, 1, 4})
                                            .unbind(0);  // each [B,heads,T,D/heads]
    const at::Tensor queries = count == x.size(1) ? qkv[0] : qkv[0].narrow(2, 0, count);
    at::Tensor mixed;
    // On a processor, the fused kernel's backward in bf16 makes small products for each image and head; these are
    // faster as two products of all.
    const bool in_parts = x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.requires_grad();
    if (attention == nullptr && !in_parts) {
      mixed = at::scaled_dot_product_attention(queries, qkv[1], qkv[2], /*attn_mask=*/{},
                                               is_training() ? config_.attention_dropout() : 0);
    } else {
      const double scale = 1 / std::sqrt(static_cast<double>(head_width));
      const at::Tensor shares = at::softmax(at::matmul(queries * scale, qkv[1].transpose(2, 3)), /*dim=*/3);
      mixed = at::matmul(at::dropout(shares, config_.attention_dropout(), is_training()), qkv[2]);
      if (attention != nullptr) *attention = shares;
    }
    return mixed.transpose(1, 2).reshape({x.size(0), count, config_.width()});
  }

  at::Tensor Branch(const at::Tensor& x, double dropout) const {
    return DropPath(at::dropout(x, dropout, is_training()), drop_path_, is_training());
  }

  const config::Vit config_;
  const double drop_path_;
  torch::nn::LayerNorm norm1_{nullptr};
  torch::nn::Linear qkv_{nullptr};
  torch::nn::Linear proj_{nullptr};
  torch::nn::LayerNorm norm2_{nullptr};
  torch::nn::Linear fc1_{nullptr};
  torch::nn::Linear fc2_{nullptr};
};

std::string BlockName(size_t index) { return absl::StrCat("block", index + 1); }

class Vit final : public ModuleModel {
 public:
  Vit(const config::Vit& config, const ModelShape& shape)
      : config_(config),
        prefix_((config.class_token() ? 1 : 0) + (config.distillation_token() ? 1 : 0)),
        grid_{shape.height / config.patch(), shape.width / config.patch()} {
    const int64_t width = config.width();
    const int64_t tokens = prefix_ + grid_.rows * grid_.columns;
    if (config.class_token()) class_token_ = root().register_parameter("cls_token", at::empty({1, 1, width}));
    position_ = root().register_parameter("pos_embed", at::empty({1, tokens, width}));
    if (config.distillation_token()) {
      distillation_token_ = root().register_parameter("dist_token", at::empty({1, 1, width}));
    }
    auto patches = root().register_module("patch_embed", std::make_shared<torch::nn::Module>());
    patches_ = patches->register_module(
        "proj",
        torch::nn::Conv2d(torch::nn::Conv2dOptions(shape.channels, width, config.patch()).stride(config.patch())));
    auto blocks = root().register_module("blocks", std::make_shared<torch::nn::Module>());
    for (int i = 0; i < config.depth(); ++i) {
      const double drop_path = i == 0 ? 0 : config.drop_path() * i / (config.depth() - 1);
      blocks_.push_back(blocks->register_module(absl::StrCat(i), std::make_shared<Block>(config, drop_path)));
    }
    norm_ = root().register_module(config.pool() == config::Vit::MEAN ? "fc_norm" : "norm", LayerNorm(config));
    head_ = root().register_module("head", torch::nn::Linear(width, shape.classes));
    if (config.distillation_token()) {
      distillation_head_ = root().register_module("head_dist", torch::nn::Linear(width, shape.classes));
    }
    Init();
  }

  // Position embeddings of a square image of another size.
  at::Tensor Refit(absl::string_view name, const at::Tensor& stored) const override {
    if (name != "pos_embed" || stored.dim() != 3 || stored.size(2) != config_.width()) return {};
    return ResamplePositionEmbedding(stored, prefix_, grid_).value_or(at::Tensor());
  }

  Outputs Forward(const at::Tensor& images, const Request& request) override {
    Outputs outputs;
    TapKeeper taps(request, &outputs);
    at::Tensor x = at::dropout(Embed(images), config_.position_dropout(), training());
    taps.Keep("embed", x);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      const std::string name = BlockName(i);
      const std::string attention_name = name + ".attention";
      at::Tensor attention;
      const bool wants_attention = taps.Wants(attention_name);
      // Nobody reads the other tokens of the last block.
      const bool prefix_is_enough = i + 1 == blocks_.size() && config_.pool() == config::Vit::CLASS_TOKEN &&
                                    !wants_attention && !taps.Wants(name);
      x = blocks_[i]->Forward(x, prefix_is_enough ? prefix_ : x.size(1), wants_attention ? &attention : nullptr);
      taps.Keep(attention_name, attention);
      taps.Keep(name, x);
    }
    Classify(x, request, &outputs);
    return outputs;
  }

  std::vector<std::string> TapNames() const override {
    std::vector<std::string> names = {"embed"};
    for (size_t i = 0; i < blocks_.size(); ++i) {
      names.push_back(BlockName(i) + ".attention");
      names.push_back(BlockName(i));
    }
    return names;
  }

 private:
  // In timm's order of draws; the convolution of the patches stays as it is.
  void Init() {
    const at::NoGradGuard no_grad;
    if (distillation_token_.defined()) InitTruncatedNormal(distillation_token_, kDeviation);
    InitTruncatedNormal(position_, kDeviation);
    if (class_token_.defined()) {
      if (config_.class_token_init() == config::Vit::TRUNCATED_NORMAL) {
        InitTruncatedNormal(class_token_, kDeviation);
      } else {
        class_token_.normal_(0, 1e-6);
      }
    }
    for (const auto& module : root().modules()) {
      if (const auto* linear = module->as<torch::nn::Linear>()) {
        InitTruncatedNormal(linear->weight, kDeviation);
        if (linear->bias.defined()) linear->bias.zero_();
      }
    }
  }

  // images [B,C,H,W] -> tokens with positions [B,T,D].
  at::Tensor Embed(const at::Tensor& images) {
    const at::Tensor patches = patches_->forward(images).flatten(2).transpose(1, 2);  // [B,HW/P^2,D]
    if (prefix_ == 0) return patches + position_;
    std::vector<at::Tensor> tokens;
    for (const at::Tensor& token : {class_token_, distillation_token_}) {
      if (token.defined()) tokens.push_back(token.expand({images.size(0), -1, -1}));
    }
    tokens.push_back(patches);
    return at::cat(tokens, 1).add_(position_);
  }

  // x: all tokens for MEAN, at least the first ones for CLASS_TOKEN.
  void Classify(const at::Tensor& x, const Request& request, Outputs* outputs) {
    at::Tensor embedding;
    if (config_.distillation_token()) {
      const at::Tensor normalised = norm_->forward(FirstTokens(x, prefix_));
      const at::Tensor class_token = normalised.select(1, 0);
      const at::Tensor distillation_token = normalised.select(1, 1);
      outputs->logits = head_->forward(class_token);
      const at::Tensor distillation_logits = distillation_head_->forward(distillation_token);
      if (training()) {
        outputs->distillation_logits = distillation_logits;
      } else {
        outputs->logits = (outputs->logits + distillation_logits) / 2;
      }
      if (request.embedding) embedding = (class_token + distillation_token) / 2;
    } else {
      embedding = norm_->forward(config_.pool() == config::Vit::MEAN ? x.narrow(1, prefix_, x.size(1) - prefix_).mean(1)
                                                                     : x.select(1, 0));
      outputs->logits = head_->forward(embedding);
    }
    if (request.embedding) outputs->embedding = embedding;
  }

  const config::Vit config_;
  const int64_t prefix_;  // tokens before those of the patches
  const PatchGrid grid_;
  at::Tensor class_token_;
  at::Tensor position_;
  at::Tensor distillation_token_;
  torch::nn::Conv2d patches_{nullptr};
  std::vector<std::shared_ptr<Block>> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};
  torch::nn::Linear distillation_head_{nullptr};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeVit(const config::Vit& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "vit"));
  if (shape.height % config.patch() != 0 || shape.width % config.patch() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("vit: images of ", shape.height, "x", shape.width,
                                                   " do not divide into patches of ", config.patch(),
                                                   "; height and width must be multiples of `patch`"));
  }
  if (config.width() % config.heads() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("vit: a width of ", config.width(), " does not divide into ",
                                                   config.heads(), " heads; it must be a multiple of `heads`"));
  }
  if (config.width() * config.mlp_ratio() < 1) {
    return absl::InvalidArgumentError(absl::StrCat("vit: mlp_ratio ", config.mlp_ratio(), " of a width of ",
                                                   config.width(),
                                                   " leaves no hidden unit; permitted: 1/width and more"));
  }
  if (!config.class_token() && (config.pool() == config::Vit::CLASS_TOKEN || config.distillation_token())) {
    return absl::InvalidArgumentError("vit: class_token: false needs pool: MEAN, and no distillation_token");
  }
  if (config.distillation_token() && config.pool() != config::Vit::CLASS_TOKEN) {
    return absl::InvalidArgumentError("vit: distillation_token: true needs pool: CLASS_TOKEN");
  }
  return std::make_unique<Vit>(config, shape);
}

}  // namespace retort::nn
