// A model as an ONNX file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/nn/model.h"

namespace retort::nn {

struct OnnxOptions {
  // What the graph's input "images" [batch,C,H,W] holds.
  enum class Input {
    kNormalized,  // f32, as the model takes them
    kUnit,        // f32 in [0, 1]: the graph begins with (x - mean) / std
    kBytes,       // u8: with (x / 255 - mean) / std
  };
  Input input = Input::kNormalized;
  // One number a channel; only for kUnit and kBytes.
  std::vector<double> mean = {}, std = {};
  // Outputs beside "logits" [batch,K]: "embedding" and taps, under their names.
  Request outputs = {};
  // The file's metadata_props.
  std::map<std::string, std::string> metadata = {};
};

// The bytes of a ModelProto: opset 17, IR version 8, any batch size from 1 on, the model in evaluation mode, which it
// is left in. The graph is what the forward pass calls (nn/graph/recording.h), an operator of ATen for one or a few of
// ONNX; what no image enters is computed here and written as a constant. Weights are initialisers under their names in
// the state_dict, in f32; those that are not used as they are (weight_g and weight_v of a weight norm,
// num_batches_tracked) are left out.
//
// Unimplemented names an operator that nn/onnx/ does not know, or how it is used; InvalidArgument for mean and std that
// do not fit the channels, for a tap that the model has not, and for more than 2 GB, which the format cannot hold.
absl::StatusOr<std::string> ExportOnnx(Model* model, const ModelShape& shape, const OnnxOptions& options);

}  // namespace retort::nn
