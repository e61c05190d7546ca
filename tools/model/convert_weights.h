// One weight file into another.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "c10/core/ScalarType.h"

namespace retort::tools {

// Copies every tensor and the metadata of the safetensors file `in` to `out`. With `type`, floating-point tensors are
// converted to it, rounding to nearest; others are kept.
//
// InvalidArgument names a tensor in which a finite number would become infinite; DataLoss for a damaged file; nothing
// is written then.
absl::Status ConvertWeights(const std::string& in, const std::string& out, absl::optional<c10::ScalarType> type);

}  // namespace retort::tools
