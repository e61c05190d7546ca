// The plain convolutional networks of the experiment with three students of different width and their teacher: 3x3
// convolutions with bias and ReLU, one max pool after the last, two linear layers. See nn/models/tutorial_cnn.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Parameters features.0, features.2, ..., classifier.0, classifier.3. Taps conv1, conv2, ..., the last one, after the
// pool, being features [B,F,H/2,W/2]; embedding [B,F H/2 W/2].
// InvalidArgument unless there is a convolution, H and W are even, and all sizes are positive.
absl::StatusOr<std::unique_ptr<Model>> MakePlainCnn(const config::PlainCnn& config, const ModelShape& shape);

}  // namespace retort::nn
