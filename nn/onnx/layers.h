// Operators with weights, norms, pools and attention in ONNX.
#pragma once

#include "absl/types/span.h"

#include "retort/nn/onnx/op_context.h"

namespace retort::nn {

absl::Span<const OpConverter> LayerConverters();

}  // namespace retort::nn
