// One weight file into another.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "c10/core/ScalarType.h"

namespace retort::tools {

struct WeightConversion {
  // What floating-point tensors become, rounded to nearest; nothing keeps them as they are.
  absl::optional<c10::ScalarType> type;
  // Of a PyTorch file, where its tensors are; see data/io/weights/pytorch_file.h.
  std::string state_dict;
};

// Copies every tensor and the metadata of the safetensors or PyTorch file `in` to the safetensors file `out`. Returns
// the names of what is no tensor and was left behind.
//
// InvalidArgument names a tensor in which a finite number would become infinite; DataLoss for a damaged file; nothing
// is written then.
absl::StatusOr<std::vector<std::string>> ConvertWeights(const std::string& in, const std::string& out,
                                                        const WeightConversion& conversion);

}  // namespace retort::tools
