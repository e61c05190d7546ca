// Operators that only move values in ONNX. Sizes come from the recorded results and not from the arguments, since a
// model writes the size of its batch into those as a number.
#pragma once

#include "absl/types/span.h"

#include "retort/nn/onnx/op_context.h"

namespace retort::nn {

absl::Span<const OpConverter> ShapeConverters();

}  // namespace retort::nn
