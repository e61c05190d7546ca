// Accuracy and loss of a model.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/batcher.h"
#include "retort/nn/model.h"

namespace retort::kd {

struct Evaluation {
  int64_t images = 0;
  double accuracy = 0;  // share of images whose largest logit is the label's, 0..1
  double loss = 0;      // mean cross-entropy with the label
  // [K,K] row-major: confusion[label * K + prediction], in images.
  std::vector<int64_t> confusion;
};

// Runs the model in evaluation mode (and puts it back into the mode it was found in: training) over view 0 of `index`.
// InvalidArgument if there are no images or the logits are not [B,classes]; DataLoss if they are not finite.
absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const data::Batcher& batcher, absl::Span<const int64_t> index,
                                    int64_t classes, int64_t batch_size);

}  // namespace retort::kd
