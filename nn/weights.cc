#include "retort/nn/weights.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/from_blob.h"
#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "retort/data/io/status_macros.h"

namespace retort::nn {
namespace {

constexpr std::pair<data::DType, at::ScalarType> kTypes[] = {
    {data::DType::kBool, at::kBool},
    {data::DType::kU8, at::kByte},
    {data::DType::kI8, at::kChar},
    {data::DType::kF8E5M2, at::kFloat8_e5m2},
    {data::DType::kF8E4M3, at::kFloat8_e4m3fn},
    {data::DType::kF8E8M0, at::kFloat8_e8m0fnu},
    {data::DType::kF8E4M3Fnuz, at::kFloat8_e4m3fnuz},
    {data::DType::kF8E5M2Fnuz, at::kFloat8_e5m2fnuz},
    {data::DType::kI16, at::kShort},
    {data::DType::kU16, at::kUInt16},
    {data::DType::kF16, at::kHalf},
    {data::DType::kBF16, at::kBFloat16},
    {data::DType::kI32, at::kInt},
    {data::DType::kU32, at::kUInt32},
    {data::DType::kF32, at::kFloat},
    {data::DType::kC64, at::kComplexFloat},
    {data::DType::kF64, at::kDouble},
    {data::DType::kI64, at::kLong},
    {data::DType::kU64, at::kUInt64},
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

bool FitsAny(absl::string_view name, const std::vector<std::string>& patterns) {
  return absl::c_any_of(patterns, [name](const std::string& pattern) { return FitsPattern(name, pattern); });
}

// What wrappers put before every name of the file; nothing where the model has it too.
std::string WrapperPrefix(const data::WeightFile& file, absl::Span<const NamedTensor> tensors) {
  std::string prefix;
  bool longer = !file.tensors().empty();
  while (longer) {
    longer = false;
    for (const absl::string_view wrapper : {"module.", "_orig_mod."}) {
      const std::string candidate = absl::StrCat(prefix, wrapper);
      const bool everywhere = absl::c_all_of(
          file.tensors(), [&](const data::StridedView& view) { return absl::StartsWith(view.name, candidate); });
      const bool ours =
          absl::c_any_of(tensors, [&](const NamedTensor& tensor) { return absl::StartsWith(tensor.first, wrapper); });
      if (!everywhere || ours) continue;
      prefix = candidate;
      longer = true;
    }
  }
  return prefix;
}

// Patterns of the model's tensors that fit none: a slip of the pen.
void CheckPatterns(const std::vector<std::string>& patterns, absl::string_view field,
                   absl::Span<const NamedTensor> tensors, std::vector<std::string>* faults) {
  for (const std::string& pattern : patterns) {
    if (absl::c_none_of(tensors, [&](const NamedTensor& tensor) { return FitsPattern(tensor.first, pattern); })) {
      faults->push_back(absl::StrCat(field, " \"", pattern, "\" fits no tensor of the model"));
    }
  }
}

// Where no element changes, not through ATen: its copy shares the bytes out to threads, which then spin, though one
// thread is as fast as memory.
void Copy(const at::Tensor& from, const at::Tensor& to) {
  if (to.is_cpu() && from.scalar_type() == to.scalar_type() && from.is_contiguous() && to.is_contiguous()) {
    std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), from.nbytes());
  } else {
    to.copy_(from);
  }
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

std::vector<std::string> LoadReport::Lines() const {
  std::vector<std::string> lines;
  if (!prefix.empty()) lines.push_back(absl::StrCat("names without \"", prefix, "\""));
  for (const std::string& name : missing) lines.push_back(absl::StrCat("not in the file, kept: ", name));
  for (const std::string& name : mismatched) lines.push_back(absl::StrCat("of another kind, kept: ", name));
  for (const std::string& name : refitted) lines.push_back(absl::StrCat("resampled: ", name));
  for (const std::string& name : unexpected) lines.push_back(absl::StrCat("only in the file, passed over: ", name));
  return lines;
}

absl::StatusOr<at::Tensor> AsTensor(const data::StridedView& view) {
  const std::optional<at::ScalarType> type = ToScalarType(view.dtype);
  if (!type.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor \"", view.name, "\" has type ", data::DTypeName(view.dtype), ", which PyTorch lacks"));
  }
  const at::TensorOptions options = at::TensorOptions(*type);
  if (view.bytes.empty()) return at::empty(view.shape, options);
  const size_t alignment = std::min<size_t>(at::elementSize(*type), alignof(std::max_align_t));
  if (reinterpret_cast<uintptr_t>(view.bytes.data()) % alignment == 0) {
    return at::from_blob(const_cast<uint8_t*>(view.bytes.data()), view.shape, view.strides, options);
  }
  const at::Tensor buffer = at::empty({static_cast<int64_t>(view.bytes.size())}, at::TensorOptions(at::kByte));
  std::memcpy(buffer.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
  return at::from_blob(
      buffer.mutable_data_ptr(), view.shape, view.strides, [buffer](void*) {}, options);
}

namespace {

// `model` may be null.
absl::StatusOr<LoadReport> Load(const data::WeightFile& file, absl::Span<const NamedTensor> tensors,
                                const LoadOptions& options, const Model* model) {
  LoadReport report;
  std::vector<std::string> faults;
  // Where a fault goes, depending on whether it is allowed.
  const auto note = [&](absl::string_view name, const std::vector<std::string>& allowed,
                        std::vector<std::string>* differences, std::string difference, std::string fault) {
    if (FitsAny(name, allowed)) {
      differences->push_back(std::move(difference));
    } else {
      faults.push_back(std::move(fault));
    }
  };

  report.prefix = WrapperPrefix(file, tensors);
  std::map<std::string, const data::StridedView*> stored;
  for (const data::StridedView& view : file.tensors()) {
    const std::string name = options.key_map.Map(absl::string_view(view.name).substr(report.prefix.size()));
    if (!stored.emplace(name, &view).second) faults.push_back(absl::StrCat("\"", name, "\" twice, once renamed"));
  }
  CheckPatterns(options.allow_missing, "allow_missing", tensors, &faults);
  CheckPatterns(options.allow_mismatched, "allow_mismatched", tensors, &faults);

  std::vector<std::pair<const data::StridedView*, at::Tensor>> copies;
  std::vector<std::pair<at::Tensor, at::Tensor>> refits;  // from, to
  for (const auto& [name, tensor] : tensors) {
    const auto found = stored.find(name);
    if (found == stored.end()) {
      note(name, options.allow_missing, &report.missing, name, absl::StrCat("missing \"", name, "\""));
      continue;
    }
    const data::StridedView& view = *found->second;
    stored.erase(found);
    if (at::IntArrayRef(view.shape) == tensor.sizes() && Converts(view.dtype, tensor.scalar_type())) {
      copies.emplace_back(&view, tensor);
      continue;
    }
    const std::string is = data::DescribeTensor(view.dtype, view.shape);
    const std::string should_be = Describe(tensor.sizes(), c10::toString(tensor.scalar_type()));
    if (model != nullptr && !FitsAny(name, options.allow_mismatched) && Converts(view.dtype, tensor.scalar_type())) {
      RETORT_ASSIGN_OR_RETURN(const at::Tensor read, AsTensor(view));
      if (const at::Tensor refit = model->Refit(name, read); refit.defined() && refit.sizes() == tensor.sizes()) {
        refits.emplace_back(refit, tensor);
        report.refitted.push_back(absl::StrCat(name, ", ", is, " to ", should_be));
        continue;
      }
    }
    note(name, options.allow_mismatched, &report.mismatched, absl::StrCat(name, ", ", is, " for ", should_be),
         absl::StrCat("\"", name, "\" is ", is, " in the file, but must be ", should_be));
  }
  std::vector<std::string> rest;
  for (const auto& [name, view] : stored) rest.push_back(name);
  rest.insert(rest.end(), file.others().begin(), file.others().end());
  for (const std::string& name : rest) {
    note(name, options.allow_unexpected, &report.unexpected, name, absl::StrCat("unexpected \"", name, "\""));
  }
  if (!faults.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.path(), " does not hold these tensors: ", absl::StrJoin(faults, "; "),
        ". Was it written for another model or configuration? What may differ has to be allowed by its name"));
  }

  const at::NoGradGuard no_grad;
  for (const auto& [view, tensor] : copies) {
    RETORT_ASSIGN_OR_RETURN(const at::Tensor source, AsTensor(*view));
    Copy(source, tensor);
    file.storage().Release(view->bytes);
  }
  for (const auto& [from, to] : refits) to.copy_(from);
  return report;
}

}  // namespace

absl::StatusOr<LoadReport> LoadTensors(const data::WeightFile& file, absl::Span<const NamedTensor> tensors,
                                       const LoadOptions& options) {
  return Load(file, tensors, options, /*model=*/nullptr);
}

absl::Status SaveModel(const std::string& path, const Model& model,
                       const std::map<std::string, std::string>& metadata) {
  return SaveTensors(path, StateOf(model), metadata);
}

absl::Status LoadModel(const std::string& path, Model* model) {
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(path));
  return LoadModel(file, model, {}).status();
}

absl::StatusOr<LoadReport> LoadModel(const data::WeightFile& file, Model* model, const LoadOptions& options) {
  RETORT_RETURN_IF_ERROR(file.Verify());
  return LoadVerifiedModel(file, model, options);
}

absl::StatusOr<LoadReport> LoadVerifiedModel(const data::WeightFile& file, Model* model, const LoadOptions& options) {
  return Load(file, StateOf(*model), options, model);
}

}  // namespace retort::nn
