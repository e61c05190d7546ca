// The payload of a stage that trains: a model and how its images were normalised.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "google/protobuf/repeated_ptr_field.h"

#include "retort/data/augment.pb.h"
#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/trainer/training.pb.h"
#include "retort/nn/build_model.h"
#include "retort/nn/model.h"
#include "retort/pipelines/payload/payload.pb.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {

// The normalisation in `config`, or `dataset`'s own statistics where it is empty. InvalidArgument if the number of
// channels differs.
absl::StatusOr<data::ChannelStatistics> ResolveNormalization(const config::Normalization& config,
                                                             const data::Dataset& dataset);

// What a model of these views of `dataset` looks like from outside.
nn::ModelShape ShapeOf(const data::Dataset& dataset, const data::ViewPlan& views);

// How images become views where nothing is drawn. InvalidArgument for steps that cannot.
absl::StatusOr<data::ViewPlan> TestViews(const google::protobuf::RepeatedPtrField<config::AugmentStep>& test_augment);

// Writes model.safetensors and model.textproto into `folder`. The model takes views of `dataset` by `train`'s
// test_augment.
absl::Status SaveTrainedModel(const std::string& folder, const nn::Model& model, const config::Model& config,
                              const data::Dataset& dataset, const data::ChannelStatistics& normalization,
                              const config::Training& train);

struct TrainedModel {
  std::unique_ptr<nn::Model> model;
  nn::ModelShape shape;
  std::vector<std::string> class_names;
  data::ChannelStatistics normalization;
  data::ViewPlan test_views;
  config::TrainedModel description;  // model.textproto
};

// Rebuilds the model of an artifact. DataLoss if its files do not fit together.
absl::StatusOr<TrainedModel> LoadTrainedModel(const StoredArtifact& artifact, bool channels_last);

// InvalidArgument unless `model` takes these views of `dataset`, both shapes named, and has its classes in its order,
// the first that differs named.
absl::Status CheckFits(const TrainedModel& model, const data::Dataset& dataset, const data::ViewPlan& views);

// What `teacher` sees where its student sees `views`: the same boxes resized to its own input; nothing where that is
// the views themselves. InvalidArgument where neither can be.
absl::StatusOr<absl::optional<data::ViewPlan>> TeacherViews(const TrainedModel& teacher, const data::Dataset& dataset,
                                                            const data::ViewPlan& views);

}  // namespace retort::pipelines
