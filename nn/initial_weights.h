// Weights that a config gives a model to begin with.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/nn/model.h"
#include "retort/nn/weights.h"
#include "retort/nn/weights.pb.h"

namespace retort::nn {

// The SHA-256 of the file, for keys. NotFound where there is none.
absl::StatusOr<std::string> InitialWeightsDigest(const config::InitialWeights& config);

// Loads the file into `model`, as nn/weights.h says. DataLoss where it is damaged, or has another SHA-256 than `digest`
// (not checked if empty): it was changed after the plan was made. InvalidArgument where it does not fit.
absl::StatusOr<LoadReport> LoadInitialWeights(const config::InitialWeights& config, absl::string_view digest,
                                              Model* model);

}  // namespace retort::nn
