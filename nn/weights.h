// Weights between models and files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "retort/data/io/tensor_view.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/key_maps/key_map.h"
#include "retort/nn/model.h"

namespace retort::nn {

// What may differ between a file and the tensors it is loaded into. Patterns are of names after `key_map`, with * for
// any characters: "head.*".
struct LoadOptions {
  std::vector<std::string> allow_missing;     // in the file; such a tensor stays as it is
  std::vector<std::string> allow_unexpected;  // in the file; such an entry is passed over
  std::vector<std::string> allow_mismatched;  // shape or type; such a tensor stays as it is
  KeyMap key_map;                             // from names in the file to names of tensors
};

// What differed and was allowed.
struct LoadReport {
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> mismatched;  // with both shapes
  std::vector<std::string> refitted;    // by Model::Refit, with both shapes
  // "module." or "_orig_mod.", or both in a row: see LoadTensors.
  std::string prefix;

  // A line each, for people; empty where nothing differed.
  std::vector<std::string> Lines() const;
};

// Parameters and buffers, row-major whatever their layout in memory.
absl::Status SaveTensors(const std::string& path, absl::Span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata);

// Copies a file into `tensors`, straight from the mapped file, whose pages are given back behind it: no second copy is
// made. Converts f64, f32, f16, bf16 and 8-bit floats to each tensor's own floating-point type; other types must be
// equal. Prefixes that DataParallel ("module.") and torch.compile ("_orig_mod.") put before every name are taken away,
// unless a tensor of `tensors` has them too.
//
// All missing, unexpected and mis-shaped names that `options` do not allow are reported together as one
// InvalidArgument, and then nothing is changed.
absl::StatusOr<LoadReport> LoadTensors(const data::WeightFile& file, absl::Span<const NamedTensor> tensors,
                                       const LoadOptions& options = {});

// The tensor whose bytes `view` has, of its type and strides; a copy only where the bytes are not aligned to the type.
// The file must outlive it, and it must not be written to. InvalidArgument for types that PyTorch lacks.
absl::StatusOr<at::Tensor> AsTensor(const data::StridedView& view);

// Parameters, then buffers.
absl::Status SaveModel(const std::string& path, const Model& model, const std::map<std::string, std::string>& metadata);
absl::Status LoadModel(const std::string& path, Model* model);
// Verifies the file's own hashes too. A tensor of another shape is what Model::Refit makes of it, if anything.
absl::StatusOr<LoadReport> LoadModel(const data::WeightFile& file, Model* model, const LoadOptions& options);
// The same without looking at the hashes, for a caller who has.
absl::StatusOr<LoadReport> LoadVerifiedModel(const data::WeightFile& file, Model* model, const LoadOptions& options);

}  // namespace retort::nn
