// The payload of a stage that trains: a model and how its images were normalised.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "retort/data/dataset.h"
#include "retort/nn/build_model.h"
#include "retort/nn/model.h"
#include "retort/pipelines/payload/payload.pb.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

// The normalisation in `config`, or `dataset`'s own statistics where it is empty. InvalidArgument if the number of
// channels differs.
absl::StatusOr<data::ChannelStatistics> ResolveNormalization(const config::Normalization& config,
                                                             const data::Dataset& dataset);

// What a model of `dataset` looks like from outside.
nn::ModelShape ShapeOf(const data::Dataset& dataset);

// Writes model.safetensors and model.textproto into `folder`.
absl::Status SaveTrainedModel(const std::string& folder, const nn::Model& model, const config::Model& config,
                              const data::Dataset& dataset, const data::ChannelStatistics& normalization);

struct TrainedModel {
  std::unique_ptr<nn::Model> model;
  nn::ModelShape shape;
  std::vector<std::string> class_names;
  data::ChannelStatistics normalization;
  config::TrainedModel description;  // model.textproto
};

// Rebuilds the model of an artifact. DataLoss if its files do not fit together.
absl::StatusOr<TrainedModel> LoadTrainedModel(const StoredArtifact& artifact, bool channels_last);

// InvalidArgument unless `model` takes the images of `dataset` and has its classes; names both shapes.
absl::Status CheckFits(const TrainedModel& model, const data::Dataset& dataset);

}  // namespace retort::pipelines
