// Vision transformers. Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv:2010.11929; the distillation
// token is that of Touvron et al. 2021 (DeiT), arXiv:2012.12877. Names, first weights and options as
// huggingface/pytorch-image-models: timm/models/vision_transformer.py, deit.py.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W], patches of P x P, tokens of width D
//   -> a token a patch, in rows from the top left, after the class and the distillation token: [B,T,D],
//      T = class_token + distillation_token + HW/P^2; positions are added
//   -> `depth` blocks: x += attention(norm(x)), x += mlp(norm(x))
//   -> CLASS_TOKEN: norm(class token), MEAN: norm(mean of the patches' tokens): the embedding [B,D] -> linear: logits
//   [B,K]
//
// With a distillation token, training gives logits of the class token and distillation_logits of the other; otherwise
// logits are the mean of both classifiers, and the embedding is the mean of both tokens.
//
// Taps: embed (tokens with positions), block1.attention (probabilities [B,heads,T,T], before their dropout), block1,
// ... Positions are those of the images that the model is built for; see position_embedding.h for weights of another
// size.
//
// Attention is PyTorch's scaled_dot_product_attention, so its fused kernels serve where there are any; those have no
// second derivative (create_graph fails). A block whose attention is asked for computes it step by step, and has one.
//
// InvalidArgument unless C, H, W, K are positive, H and W multiples of the patch, `width` one of `heads`, and the class
// token is there where it is needed.
absl::StatusOr<std::unique_ptr<Model>> MakeVit(const config::Vit& config, const ModelShape& shape);

}  // namespace retort::nn
