// Residual networks of any form: what the families resnet, cifar_resnet and residual are made of.
// He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385; names and strides as
// pytorch/vision: torchvision/models/resnet.py.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> stem [B,stem_width,.,.]: convolution, BatchNorm, ReLU; IMAGENET max-pools after it, to H/4,W/4
//   -> stage s [B,e width,./2^(s-1),./2^(s-1)]: blocks of convolutions with BatchNorm and ReLU, the block's input added
//      before the last ReLU, through a 1x1 convolution and BatchNorm where shapes differ; sizes are rounded up; e is 4
//      in a bottleneck network and else 1
//   -> mean over H,W: the embedding [B,e width] -> linear: logits [B,K]
//
// Taps: stem (before the pool), stage1, stage2, ..., each after its ReLU, and "<tap>.preact" before it.
struct ResidualNetwork {
  struct Stage {
    int64_t width = 0;
    int blocks = 0;
  };
  enum class Init {
    kFanOut,   // convolutions by InitConvolutionsByFanOut
    kPyTorch,  // the layers' own
  };

  config::Stem stem = config::CIFAR;
  int64_t stem_width = 0;
  std::vector<Stage> stages;
  bool bottleneck = false;  // 1x1, 3x3, 1x1 convolutions; else two of 3x3
  Init init = Init::kFanOut;
  bool zero_init_residual = false;
};

// All of `shape` is positive.
std::unique_ptr<Model> MakeResidualNetwork(const ResidualNetwork& architecture, const ModelShape& shape);

}  // namespace retort::nn
