// Which images a trained model gets right.
#pragma once

#include <vector>

#include "absl/status/statusor.h"

#include "retort/data/dataset.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::tools {

// [N], whether the largest logit of each image of `dataset` is its label's, seen as kd/evaluate.h does: by the model's
// own test views and normalisation. InvalidArgument if the model does not fit the images; DataLoss if its files do not
// fit together, or its logits are not finite.
absl::StatusOr<std::vector<bool>> RightAnswers(const pipelines::StoredArtifact& model, const data::Dataset& dataset,
                                               bool channels_last);

}  // namespace retort::tools
