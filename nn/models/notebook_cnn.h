// The convolutional networks of the knowledge-distillation notebook, teacher and student alike: the tutorial's
// (nn/models/tutorial_cnn.h) with weight normalisation, ELU and BatchNorm.
// Source: CharvakaSynapse/Knowledge-Distillation, knowledge_distillation_CNN.ipynb.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"

namespace retort::nn {

// images [B,C,H,W]
//   -> each stage: 3x3 convolutions of `width` channels, each with ELU and then BatchNorm; a 2x2 max pool
//   -> features [B,F,H/2^s,W/2^s], s stages, sizes rounded down
//   -> flattened in C,H,W order [B,D], the embedding
//   -> linear, ELU [B,hidden] -> dropout -> linear, logits [B,K]
//
// All layers but the last have weight normalisation (Salimans & Kingma 2016, arXiv:1602.07868): the weight is
// g v / |v|, with one g and one norm an output channel and g = |v| at first.
//
// Parameters carry the notebook's names: "features.0.bias", "features.0.weight_g", "features.0.weight_v", ...,
// "classifier.3.bias". Taps are the outputs of the stages, "stage1", ..., the last one being "features"; and
// "<tap>.preact", what the stage's last ELU sees, before BatchNorm and pool, so twice as high and wide.
struct NotebookCnn {
  struct Stage {
    int64_t width = 0;
    int convolutions = 0;
  };
  std::vector<Stage> stages;
  int64_t hidden = 0;
  double dropout = 0;  // probability of zeroing a hidden unit in training
  // Adds the scalar "raw_weight", 0.5 at first, that no output depends on: the notebook meant to learn the losses'
  // weights by it.
  bool raw_weight = false;
};

// InvalidArgument unless C and K are positive and H and W are at least 2^s.
absl::StatusOr<std::unique_ptr<Model>> MakeNotebookCnn(const NotebookCnn& architecture, const ModelShape& shape);

}  // namespace retort::nn
