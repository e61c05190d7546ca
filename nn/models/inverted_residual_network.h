// Networks of inverted residual blocks: what the families mobilenet_v2, mobilenet_v3 and efficientnet are made of.
// Sandler et al. 2018, "MobileNetV2", arXiv:1801.04381; squeeze and excitation: Hu et al. 2018, arXiv:1709.01507.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "retort/nn/model.h"

namespace retort::nn {

enum class Activation { kRelu, kRelu6, kHardswish, kSilu };

// images [B,C,H,W]
//   -> stem [B,stem_width,H/2,W/2]: 3x3 convolution of stride 2, BatchNorm, activation
//   -> blocks: 1x1 convolution to `expanded` channels (left out where that is the input's number), kernel x kernel
//      convolution of each channel alone, each with BatchNorm and activation; squeeze and excitation; 1x1 convolution
//      to `width` channels and BatchNorm; the input added where shapes agree
//   -> 1x1 convolution [B,head_width,.,.], BatchNorm, activation -> mean over H,W: the embedding [B,head_width]
//   -> linear and activation [B,hidden], if hidden > 0 -> dropout -> linear: logits [B,K]
//
// Strides round sizes up. Taps: "stem.preact" and "stem", before and after its activation, and the outputs of the
// blocks that have a `tap`. A block is linear at its end, so that a stage has no activation, and no tap before one.
struct InvertedResidualNetwork {
  // What multiplies the channels of x in [0,1]: gate(fc2(activation(fc1(mean of x over H,W)))).
  enum class Gate { kHardSigmoid, kSigmoid };

  struct Block {
    std::string name;  // "features.1.block"
    int64_t expanded = 0;
    int64_t width = 0;
    int64_t kernel = 3;
    int64_t stride = 1;
    Activation activation = Activation::kRelu;
    int64_t squeezed = 0;  // width of squeeze and excitation; 0: none
    double drop_path = 0;  // in training, the probability that an image's branch is left out; 0 <= drop_path < 1
    std::string tap;       // empty: none
  };

  // Where the layers of a block are in its group.
  enum class Names {
    kGrouped,        // each convolution and its norm a group: "0.0", "0.1", ...
    kLastUngrouped,  // the same, but the last convolution and its norm "2", "3"
    kFlat,           // "0", "1", "3", "4", "6", "7"; the expansion is never left out
  };

  int64_t stem_width = 0;
  std::string stem_name;                      // "features.0"; convolution and norm are "0" and "1" in it
  Activation activation = Activation::kRelu;  // of stem, head and hidden layer
  Names names = Names::kGrouped;
  Gate gate = Gate::kSigmoid;
  std::vector<Block> blocks;
  int64_t head_width = 0;
  std::string head_name;
  int64_t hidden = 0;
  std::string hidden_name;
  std::string classifier_name;
  double dropout = 0;
  double norm_eps = 1e-5;
  double norm_momentum = 0.1;
  // Of the linear layers' first weights: normal with this deviation, or uniform within +-1/sqrt(outputs) where it is 0.
  double linear_deviation = 0.01;
};

// All of `shape` is positive.
std::unique_ptr<Model> MakeInvertedResidualNetwork(const InvertedResidualNetwork& architecture,
                                                   const ModelShape& shape);

// `channels` rounded to the nearest multiple of 8, but at least 8 and not below 0.9 of it.
int64_t RoundToEight(double channels);

}  // namespace retort::nn
