// Tensors of PyTorch's .pth and .pt files, without torch: a zip archive of a pickle and of storages, as torch.save
// writes it since PyTorch 1.6. Format: pytorch/pytorch, torch/serialization.py and torch/_utils.py. Nothing in a file
// is executed: see pickle.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "retort/data/io/file.h"
#include "retort/data/io/tensor_view.h"
#include "retort/data/io/weights/zip_file.h"

namespace retort::data {

// One state dict of a file. Which one: Open() looks at every dictionary that text keys lead to from the outermost one
// (so not at an optimiser's state, whose keys are numbers) for those that hold a tensor. There must be one, or
// `state_dict` must name one: its keys joined by dots, such as "model" or "ema.state_dict"; "." is the outermost.
//
// Storages of any device are read as they lie, so cuda:0 loads. Strides are kept, and checked against the storage's
// bytes. DataLoss says what is wrong with the file, or that it is of another kind: PyTorch's older formats, TorchScript
// archives, big-endian files, quantised, sparse, complex128 and conjugate tensors. InvalidArgument lists the state
// dicts to choose from.
class PyTorchFile {
 public:
  static absl::StatusOr<PyTorchFile> Open(const std::string& path, absl::string_view state_dict = "");

  // Whether a file that begins with `bytes` (a few hundred will do) is PyTorch's, of whatever version.
  static bool Recognises(absl::Span<const uint8_t> bytes);

  // In the order of the state dict.
  const std::vector<StridedView>& tensors() const { return tensors_; }
  // Keys of the state dict's entries that are no tensors.
  const std::vector<std::string>& others() const { return others_; }
  const std::shared_ptr<const MappedFile>& storage() const { return zip_.storage(); }
  const std::string& path() const { return zip_.path(); }

  // Compares the CRC-32 of the storages that tensors() lie in, where the file has one. DataLoss if they differ.
  absl::Status Verify() const;

 private:
  explicit PyTorchFile(ZipFile zip) : zip_(std::move(zip)) {}

  ZipFile zip_;
  std::vector<StridedView> tensors_;
  std::vector<std::string> others_;
  std::vector<ZipRecord> storages_;
};

}  // namespace retort::data
