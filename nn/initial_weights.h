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

// What the file holds, for keys: the SHA-256 that a file of ours has of itself, once that is verified, of others that
// of all bytes. NotFound where there is none, DataLoss where it is damaged.
absl::StatusOr<std::string> InitialWeightsDigest(const config::InitialWeights& config);

// Loads the file into `model`, as nn/weights.h says. DataLoss where it is damaged, or has another digest than `digest`
// (not compared if empty): it was changed after the plan was made. InvalidArgument where it does not fit.
absl::StatusOr<LoadReport> LoadInitialWeights(const config::InitialWeights& config, absl::string_view digest,
                                              Model* model);

}  // namespace retort::nn
