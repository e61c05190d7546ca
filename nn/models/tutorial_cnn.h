// The convolutional networks of PyTorch's knowledge-distillation tutorial, teacher and student alike.
// Source: pytorch/tutorials, beginner_source/knowledge_distillation_tutorial.py.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> each stage: 3x3 convolution with padding 1, 2x2 max pool where `pool` says so, ReLU
//   -> features [B,F,H/2^p,W/2^p], p pools
//   -> flattened in C,H,W order [B,D], the embedding
//   -> linear, ReLU [B,hidden] -> dropout -> linear, logits [B,K]
//
// Parameters carry the tutorial's names: "features.0.weight", ..., "classifier.3.bias". Taps are the outputs of the
// stages: "conv1", "conv2", ..., the last one being "features"; and "<tap>.preact", what the ReLU sees, so pooled where
// the stage pools.
struct TutorialCnn {
  struct Stage {
    int64_t filters = 0;
    bool pool = false;
  };
  std::vector<Stage> stages;
  int64_t hidden = 0;
  double dropout = 0;  // probability of zeroing a hidden unit in training
};

// InvalidArgument unless C and K are positive and H and W are positive multiples of 2^p.
absl::StatusOr<std::unique_ptr<Model>> MakeTutorialCnn(const TutorialCnn& architecture, const ModelShape& shape);

}  // namespace retort::nn
