// The safetensors format: named tensors in one file, without torch. Layout: u64 little-endian header length N; N bytes
// of JSON that map each name to {dtype, shape, data_offsets}, with an optional string map "__metadata__"; then the
// tensors' bytes, row-major and little-endian. Format and rules: huggingface/safetensors, README.md and
// safetensors/src/tensor.rs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "retort/data/io/file.h"
#include "retort/data/io/tensor_view.h"

namespace retort::data {

// A file opened for reading. Open() maps the file and checks everything the header says: length at most 100 MB and
// within the file, UTF-8 JSON without duplicate keys, known types, shapes whose bytes equal their range without
// overflow, ranges that cover the data without gap or overlap and end at the end of the file. No more than 64
// dimensions a tensor, 2 MB a text, and what takes 48 MB of memory in all. DataLoss names the first fault.
class SafetensorsFile {
 public:
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  // In the order of their bytes.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Keeps the bytes of tensors() alive; they also live as long as this object.
  const std::shared_ptr<const MappedFile>& storage() const { return storage_; }
  const std::string& path() const { return path_; }

  // NotFound lists the tensors that are there.
  absl::StatusOr<TensorView> Find(absl::string_view name) const;

  // Compares the file with the SHA-256 that WriteSafetensors left in the metadata. DataLoss if they differ; OK for
  // files of other writers, which have none.
  absl::Status Verify() const;

  // The same for a file that WriteSafetensors is known to have made: DataLoss if there is no SHA-256.
  absl::Status VerifyOwn() const;

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> storage_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes atomically (data/io/file.h), sorted by falling element size, then name, header padded to 8 bytes, as the
// reference writer does. Adds "retort.sha256" to `metadata`: the hash of the whole file (so of names, types and shapes
// too) in which its own 64 digits are read as '0'. InvalidArgument for duplicate or non-UTF-8 names, or bytes that do
// not fit the shape.
absl::Status WriteSafetensors(const std::string& path, absl::Span<const TensorView> tensors,
                              const std::map<std::string, std::string>& metadata);

}  // namespace retort::data
