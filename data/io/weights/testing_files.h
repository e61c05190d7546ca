// Pickles and zip archives byte by byte, for tests: what torch.save writes, and what it never would.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"

namespace retort::data {

// `value` in `size` bytes, little-endian.
std::string LittleEndian(uint64_t value, int size);

// Opcodes of Python's pickle, protocol 2.
std::string PickleOf(const std::string& value);  // PROTO 2, value, STOP
std::string PickleText(const std::string& text);
std::string PickleInteger(int64_t value);
std::string PickleTuple(const std::vector<std::string>& items);
std::string PickleDict(const std::vector<std::pair<std::string, std::string>>& items);  // text keys
std::string PickleGlobal(const std::string& module, const std::string& name);
std::string PickleCall(const std::string& module, const std::string& name, const std::vector<std::string>& arguments);

// A tensor of a state dict, as torch.save writes it.
struct PickledTensor {
  std::string storage_type = "FloatStorage";
  std::string key = "0";
  std::string device = "cpu";
  int64_t count = 1;  // elements of the storage
  int64_t offset = 0;
  std::vector<int64_t> shape = {1};
  std::vector<int64_t> strides = {1};
};
std::string PickleTensor(const PickledTensor& tensor);

struct ZipEntry {
  std::string name = "";
  std::string bytes = "";
  // What the headers say where it is not the truth.
  uint16_t flags = 0x0808;
  uint16_t method = 0;
  uint16_t disk = 0;
  absl::optional<uint32_t> crc32 = absl::nullopt;
  absl::optional<uint64_t> size = absl::nullopt;
  absl::optional<uint64_t> offset = absl::nullopt;
  absl::optional<std::string> local_name = absl::nullopt;
};

struct ZipEnd {
  bool zip64 = true;
  bool zip64_fields = false;  // sizes and offsets of every record in zip64 extra fields
  std::string comment = "";
  absl::optional<uint64_t> records = absl::nullopt;
  absl::optional<uint64_t> size = absl::nullopt;
  absl::optional<uint64_t> offset = absl::nullopt;
};

std::string MakeZip(const std::vector<ZipEntry>& entries, const ZipEnd& end = {});

// The archive of a PyTorch file: data.pkl with `pickle`, byteorder, version, and storages "0", "1", ...
std::string MakePth(const std::string& pickle, const std::vector<std::string>& storages);

// The same of tensors "a" (F32 [2,3]), "b" (I64 []), and "c" (F32 [3,2], a transposed view of a's storage).
std::string SamplePth();

// A safetensors file of this header and data.
std::string MakeSafetensors(const std::string& header, const std::string& data);

// The same of tensors "a" (F32 [2,3]), "b" (I64 []).
std::string SampleSafetensors();

}  // namespace retort::data
