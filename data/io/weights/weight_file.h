// A file of weights, whatever its format.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/tensor_view.h"
#include "retort/data/io/weights/pytorch_file.h"

namespace retort::data {

// Views of a mapped file's tensors, which live as long as the object.
class WeightFile {
 public:
  // Opens a safetensors (data/io/safetensors.h) or a PyTorch file (pytorch_file.h) by its content, never by its name.
  // `state_dict` is for the latter; InvalidArgument where the former gets one.
  static absl::StatusOr<WeightFile> Open(const std::string& path, absl::string_view state_dict = "");

  explicit WeightFile(SafetensorsFile file);
  explicit WeightFile(PyTorchFile file);

  const std::vector<StridedView>& tensors() const { return tensors_; }
  // Names of what stands among the tensors and is none, such as "epoch".
  const std::vector<std::string>& others() const { return others_; }
  // Of a safetensors file; PyTorch's have none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const MappedFile& storage() const;
  const std::string& path() const;

  // Compares the hashes that the file has of itself. DataLoss if they differ.
  absl::Status Verify() const;

 private:
  std::variant<SafetensorsFile, PyTorchFile> file_;
  std::vector<StridedView> tensors_;
  std::vector<std::string> others_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace retort::data
