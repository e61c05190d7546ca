// The model that a command line speaks of.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"

#include "retort/nn/model.h"
#include "retort/pipelines/payload/payload.pb.h"

namespace retort::tools {

// Where a model's description comes from: `model`, or `config`, or else the metadata of `weights`. Paths are as they
// are to be opened.
struct SubjectSource {
  std::string model;   // a config::Model as text
  std::string config;  // a pipeline's file
  std::string stage;   // its stage; may be empty if only one has a model
  std::string weights;
  std::string key_map;                                   // a config::KnownKeyMap by name; empty: names stay
  absl::optional<int> channels, height, width, classes;  // in place of the description's own
};

// The model's config, its images' shape and normalisation and its classes as far as they are known; 32x32x3 images
// where nobody says otherwise. NotFound for a missing file, DataLoss for a damaged one, InvalidArgument for a
// description that is missing or wrong.
absl::StatusOr<config::TrainedModel> DescribeSubject(const SubjectSource& source);

// Classes of the model: source.classes, or as many as there are names, or 10.
int ClassCount(const config::TrainedModel& description, const SubjectSource& source);

// Builds it, for images of the description's shape, with the weights if there are any.
absl::StatusOr<std::unique_ptr<nn::Model>> BuildSubject(const config::TrainedModel& description,
                                                        const SubjectSource& source);

}  // namespace retort::tools
