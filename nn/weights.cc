#include "retort/nn/weights.h"

#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "retort/data/io/status_macros.h"

namespace retort::nn {
namespace {

constexpr std::pair<data::DType, at::ScalarType> kTypes[] = {
    {data::DType::kBool, at::kBool},     {data::DType::kU8, at::kByte},  {data::DType::kI8, at::kChar},
    {data::DType::kI16, at::kShort},     {data::DType::kI32, at::kInt},  {data::DType::kI64, at::kLong},
    {data::DType::kBF16, at::kBFloat16}, {data::DType::kF16, at::kHalf}, {data::DType::kF32, at::kFloat},
    {data::DType::kF64, at::kDouble},
};

std::optional<at::ScalarType> ToScalarType(data::DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  return std::nullopt;
}

std::optional<data::DType> ToDType(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  return std::nullopt;
}

// Floating-point types convert into each other; all else must be the same.
bool Converts(data::DType from, at::ScalarType to) {
  const std::optional<at::ScalarType> type = ToScalarType(from);
  return type.has_value() && (*type == to || (at::isFloatingType(*type) && at::isFloatingType(to)));
}

std::string Describe(at::IntArrayRef shape, absl::string_view type) {
  return absl::StrCat(type, " [", absl::StrJoin(shape, ","), "]");
}

std::vector<NamedTensor> StateOf(const Model& model) {
  std::vector<NamedTensor> tensors = model.Parameters();
  for (NamedTensor& buffer : model.Buffers()) tensors.push_back(std::move(buffer));
  return tensors;
}

}  // namespace

absl::Status SaveTensors(const std::string& path, absl::Span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> row_major;  // owns the bytes of `views`
  std::vector<data::TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    const std::optional<data::DType> dtype = ToDType(tensor.scalar_type());
    if (!dtype.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": tensor \"", name, "\" has type ",
                                                     c10::toString(tensor.scalar_type()),
                                                     ", which the file format cannot hold"));
    }
    row_major.push_back(tensor.detach().cpu().contiguous());
    const at::Tensor& source = row_major.back();
    views.push_back({name, *dtype, source.sizes().vec(),
                     absl::MakeConstSpan(static_cast<const uint8_t*>(source.const_data_ptr()), source.nbytes())});
  }
  return data::WriteSafetensors(path, views, metadata);
}

absl::Status LoadTensors(const data::SafetensorsFile& file, absl::Span<const NamedTensor> tensors) {
  std::map<std::string, const data::TensorView*> stored;
  for (const data::TensorView& view : file.tensors()) stored[view.name] = &view;

  std::vector<std::string> faults;
  std::vector<std::pair<const data::TensorView*, at::Tensor>> copies;
  for (const auto& [name, tensor] : tensors) {
    const auto found = stored.find(name);
    if (found == stored.end()) {
      faults.push_back(absl::StrCat("missing \"", name, "\""));
      continue;
    }
    const data::TensorView& view = *found->second;
    stored.erase(found);
    if (at::IntArrayRef(view.shape) != tensor.sizes() || !Converts(view.dtype, tensor.scalar_type())) {
      faults.push_back(absl::StrCat("\"", name, "\" is ", Describe(view.shape, data::DTypeName(view.dtype)),
                                    " in the file, but must be ",
                                    Describe(tensor.sizes(), c10::toString(tensor.scalar_type()))));
      continue;
    }
    copies.emplace_back(&view, tensor);
  }
  for (const auto& [name, view] : stored) faults.push_back(absl::StrCat("unexpected \"", name, "\""));
  if (!faults.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(),
                                                   " does not hold these tensors: ", absl::StrJoin(faults, "; "),
                                                   ". Was it written for another model or configuration?"));
  }

  const at::NoGradGuard no_grad;
  for (const auto& [view, tensor] : copies) {
    // By way of an aligned buffer: a file need not align its tensors.
    const at::Tensor source = at::empty(view->shape, *ToScalarType(view->dtype));
    if (source.nbytes() > 0) std::memcpy(source.mutable_data_ptr(), view->bytes.data(), source.nbytes());
    tensor.copy_(source);
  }
  return absl::OkStatus();
}

absl::Status SaveModel(const std::string& path, const Model& model,
                       const std::map<std::string, std::string>& metadata) {
  return SaveTensors(path, StateOf(model), metadata);
}

absl::Status LoadModel(const std::string& path, Model* model) {
  RETORT_ASSIGN_OR_RETURN(const data::SafetensorsFile file, data::SafetensorsFile::Open(path));
  RETORT_RETURN_IF_ERROR(file.Verify());
  return LoadTensors(file, StateOf(*model));
}

}  // namespace retort::nn
