#include "retort/data/io/weights/weight_file.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"

namespace retort::data {

WeightFile::WeightFile(SafetensorsFile file) : metadata_(file.metadata()) {
  tensors_.reserve(file.tensors().size());
  for (const TensorView& tensor : file.tensors()) {
    tensors_.push_back({tensor.name, tensor.dtype, tensor.shape, RowMajorStrides(tensor.shape), tensor.bytes});
  }
  file_ = std::move(file);
}

WeightFile::WeightFile(PyTorchFile file)
    : file_(std::move(file)),
      tensors_(std::get<PyTorchFile>(file_).tensors()),
      others_(std::get<PyTorchFile>(file_).others()) {}

absl::StatusOr<WeightFile> WeightFile::Open(const std::string& path, absl::string_view state_dict) {
  constexpr size_t kLengthBytes = 8;
  bool pytorch;
  {
    RETORT_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    const absl::Span<const uint8_t> bytes = file->bytes();
    // The header of a safetensors file is an object of JSON, and so short that its length ends with zeros.
    const bool safetensors = bytes.size() > kLengthBytes && bytes[kLengthBytes] == '{' && bytes[kLengthBytes - 1] == 0;
    pytorch = !safetensors && PyTorchFile::Recognises(bytes);
    if (!safetensors && !pytorch) {
      return absl::DataLossError(absl::StrCat(path, " is neither a safetensors file nor one of torch.save; these are ",
                                              "the two that are read, whatever their name"));
    }
  }
  if (pytorch) {
    RETORT_ASSIGN_OR_RETURN(PyTorchFile file, PyTorchFile::Open(path, state_dict));
    return WeightFile(std::move(file));
  }
  if (!state_dict.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a safetensors file, which has no state_dict \"",
                                                   state_dict, "\" to choose; leave that out"));
  }
  RETORT_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
  return WeightFile(std::move(file));
}

const MappedFile& WeightFile::storage() const {
  return *std::visit([](const auto& file) { return file.storage(); }, file_);
}

const std::string& WeightFile::path() const {
  return std::visit([](const auto& file) -> const std::string& { return file.path(); }, file_);
}

absl::Status WeightFile::Verify() const {
  return std::visit([](const auto& file) { return file.Verify(); }, file_);
}

}  // namespace retort::data
