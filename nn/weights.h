// Weights between models and files.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "retort/data/io/safetensors.h"
#include "retort/nn/model.h"

namespace retort::nn {

// Parameters and buffers, row-major whatever their layout in memory.
absl::Status SaveTensors(const std::string& path, absl::Span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata);

// Copies a file into `tensors`, converting bf16, f16, f32 and f64 to each tensor's own type. All missing, unexpected
// and mis-shaped names are reported together, and then nothing is changed. InvalidArgument; DataLoss for a damaged
// file.
absl::Status LoadTensors(const data::SafetensorsFile& file, absl::Span<const NamedTensor> tensors);

// Parameters, then buffers.
absl::Status SaveModel(const std::string& path, const Model& model, const std::map<std::string, std::string>& metadata);
absl::Status LoadModel(const std::string& path, Model* model);

}  // namespace retort::nn
