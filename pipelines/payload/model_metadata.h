// What an exported file, safetensors or ONNX, says of the model in it, so that the file alone can be used.
//
//   retort.model          the model's config, as protobuf text on one line
//   retort.image_shape    [channels, height, width]
//   retort.class_names    ["airplane", ...]
//   retort.mean           [a number a channel], of images in [0, 1]
//   retort.std            the same
//
// All but the first are JSON.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

#include "retort/pipelines/payload/payload.pb.h"

namespace retort::pipelines {

std::map<std::string, std::string> ModelMetadata(const config::TrainedModel& description);

// NotFound if the metadata has no "retort.model"; DataLoss names the entry that is not as above. The entries after the
// first may be missing.
absl::StatusOr<config::TrainedModel> ReadModelMetadata(const std::map<std::string, std::string>& metadata);

}  // namespace retort::pipelines
