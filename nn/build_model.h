// From a config to a model.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"
#include "retort/nn/model.pb.h"

namespace retort::nn {

// Initial weights are PyTorch's defaults, drawn in the order PyTorch draws them after torch.manual_seed(seed): the seed
// goes to LibTorch's default generator, which dropout goes on to draw from. `channels_last` lays out filters for
// channels_last images. InvalidArgument if the shape does not fit the family.
absl::StatusOr<std::unique_ptr<Model>> BuildModel(const config::Model& config, const ModelShape& shape, uint64_t seed,
                                                  bool channels_last);

// Total number of elements of all parameters.
int64_t CountParameters(const Model& model);

}  // namespace retort::nn
