#include "retort/tools/model/convert_weights.h"

#include <map>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/isfinite.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/safetensors.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/model.h"
#include "retort/nn/weights.h"

namespace retort::tools {
namespace {

at::ScalarType TypeOf(data::DType dtype) {
  switch (dtype) {
    case data::DType::kBool:
      return at::kBool;
    case data::DType::kU8:
      return at::kByte;
    case data::DType::kI8:
      return at::kChar;
    case data::DType::kU16:
      return at::kUInt16;
    case data::DType::kI16:
      return at::kShort;
    case data::DType::kF16:
      return at::kHalf;
    case data::DType::kBF16:
      return at::kBFloat16;
    case data::DType::kU32:
      return at::kUInt32;
    case data::DType::kI32:
      return at::kInt;
    case data::DType::kF32:
      return at::kFloat;
    case data::DType::kU64:
      return at::kUInt64;
    case data::DType::kI64:
      return at::kLong;
    case data::DType::kF64:
      return at::kDouble;
  }
  return at::kFloat;
}

}  // namespace

absl::Status ConvertWeights(const std::string& in, const std::string& out, absl::optional<c10::ScalarType> type) {
  RETORT_ASSIGN_OR_RETURN(const data::SafetensorsFile file, data::SafetensorsFile::Open(in));
  RETORT_RETURN_IF_ERROR(file.Verify());
  std::vector<nn::NamedTensor> tensors;
  for (const data::TensorView& view : file.tensors()) {
    tensors.emplace_back(view.name, at::empty(view.shape, TypeOf(view.dtype)));
  }
  RETORT_RETURN_IF_ERROR(nn::LoadTensors(file, tensors));
  for (auto& [name, tensor] : tensors) {
    if (!type.has_value() || !tensor.is_floating_point()) continue;
    const at::Tensor converted = tensor.to(*type);
    if (at::isfinite(converted).sum().item<int64_t>() != at::isfinite(tensor).sum().item<int64_t>()) {
      return absl::InvalidArgumentError(absl::StrCat(in, ": \"", name, "\" has numbers that ", c10::toString(*type),
                                                     " cannot hold; choose bf16 or f32"));
    }
    tensor = converted;
  }
  std::map<std::string, std::string> metadata = file.metadata();
  metadata.erase("retort.sha256");  // of the file that was read
  return nn::SaveTensors(out, tensors, metadata);
}

}  // namespace retort::tools
