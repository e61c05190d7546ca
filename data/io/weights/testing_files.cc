#include "retort/data/io/weights/testing_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

#include "retort/data/io/weights/crc32.h"

namespace retort::data {
namespace {

std::string Integers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(PickleInteger(value));
  return PickleTuple(items);
}

}  // namespace

std::string LittleEndian(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i, value >>= 8) bytes += static_cast<char>(value & 0xff);
  return bytes;
}

std::string PickleOf(const std::string& value) { return absl::StrCat("\x80\x02", value, "."); }

std::string PickleText(const std::string& text) { return absl::StrCat("X", LittleEndian(text.size(), 4), text); }

std::string PickleInteger(int64_t value) {
  return absl::StrCat("\x8a\x08", LittleEndian(static_cast<uint64_t>(value), 8));
}

std::string PickleTuple(const std::vector<std::string>& items) {
  std::string text = "(";
  for (const std::string& item : items) text += item;
  return text + "t";
}

std::string PickleDict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [key, value] : items) absl::StrAppend(&text, PickleText(key), value);
  return text + "u";
}

std::string PickleGlobal(const std::string& module, const std::string& name) {
  return absl::StrCat("c", module, "\n", name, "\n");
}

std::string PickleCall(const std::string& module, const std::string& name, const std::vector<std::string>& arguments) {
  return absl::StrCat(PickleGlobal(module, name), PickleTuple(arguments), "R");
}

std::string PickleTensor(const PickledTensor& tensor) {
  const std::string storage =
      absl::StrCat(PickleTuple({PickleText("storage"), PickleGlobal("torch", tensor.storage_type),
                                PickleText(tensor.key), PickleText(tensor.device), PickleInteger(tensor.count)}),
                   "Q");
  return PickleCall("torch._utils", "_rebuild_tensor_v2",
                    {storage, PickleInteger(tensor.offset), Integers(tensor.shape), Integers(tensor.strides), "\x89",
                     PickleCall("collections", "OrderedDict", {})});
}

std::string MakeZip(const std::vector<ZipEntry>& entries, const ZipEnd& end) {
  std::string records, directory;
  for (const ZipEntry& entry : entries) {
    const uint64_t size = entry.size.value_or(entry.bytes.size()), offset = entry.offset.value_or(records.size());
    const uint32_t crc = entry.crc32.value_or(
        Crc32(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(entry.bytes.data()), entry.bytes.size())));
    const std::string start = absl::StrCat(LittleEndian(0, 2), LittleEndian(entry.flags, 2),
                                           LittleEndian(entry.method, 2), LittleEndian(0, 4));
    const std::string local_name = entry.local_name.value_or(entry.name);
    // Sizes are 0 here: torch.save writes them behind the record.
    absl::StrAppend(&records, "PK\x03\x04", start, LittleEndian(0, 12), LittleEndian(local_name.size(), 2),
                    LittleEndian(0, 2), local_name, entry.bytes);
    const std::string extra = absl::StrCat(LittleEndian(1, 2), LittleEndian(24, 2), LittleEndian(size, 8),
                                           LittleEndian(size, 8), LittleEndian(offset, 8));
    const auto narrow = [&](uint64_t value) { return LittleEndian(end.zip64_fields ? 0xffffffff : value, 4); };
    absl::StrAppend(
        &directory, "PK\x01\x02", LittleEndian(0, 2), start, LittleEndian(crc, 4), narrow(size), narrow(size),
        LittleEndian(entry.name.size(), 2), LittleEndian(end.zip64_fields ? extra.size() : 0, 2), LittleEndian(0, 2),
        LittleEndian(entry.disk, 2), LittleEndian(0, 6), narrow(offset), entry.name, end.zip64_fields ? extra : "");
  }
  const uint64_t count = end.records.value_or(entries.size()), size = end.size.value_or(directory.size()),
                 offset = end.offset.value_or(records.size());
  const auto saturated = [](uint64_t value, int bytes) {
    return LittleEndian(std::min(value, (uint64_t{1} << (8 * bytes)) - 1), bytes);
  };
  std::string file = records + directory;
  if (end.zip64) {
    const uint64_t at = file.size();
    absl::StrAppend(&file, "PK\x06\x06", LittleEndian(44, 8), LittleEndian(0, 12), LittleEndian(count, 8),
                    LittleEndian(count, 8), LittleEndian(size, 8), LittleEndian(offset, 8));
    absl::StrAppend(&file, "PK\x06\x07", LittleEndian(0, 4), LittleEndian(at, 8), LittleEndian(1, 4));
  }
  absl::StrAppend(&file, "PK\x05\x06", LittleEndian(0, 4), saturated(count, 2), saturated(count, 2), saturated(size, 4),
                  saturated(offset, 4), LittleEndian(end.comment.size(), 2), end.comment);
  return file;
}

std::string MakePth(const std::string& pickle, const std::vector<std::string>& storages) {
  std::vector<ZipEntry> entries = {{"archive/data.pkl", pickle}, {"archive/byteorder", "little"}};
  for (size_t i = 0; i < storages.size(); ++i) entries.push_back({absl::StrCat("archive/data/", i), storages[i]});
  entries.push_back({"archive/version", "3\n"});
  return MakeZip(entries);
}

std::string SamplePth() {
  return MakePth(
      PickleOf(PickleDict({{"a", PickleTensor({.count = 6, .shape = {2, 3}, .strides = {3, 1}})},
                           {"b", PickleTensor({.storage_type = "LongStorage", .key = "1", .shape = {}, .strides = {}})},
                           {"c", PickleTensor({.count = 6, .shape = {3, 2}, .strides = {1, 3}})}})),
      {std::string("aaaabbbbccccddddeeeeffff"), std::string("12345678")});
}

std::string MakeSafetensors(const std::string& header, const std::string& data) {
  return absl::StrCat(LittleEndian(header.size(), 8), header, data);
}

std::string SampleSafetensors() {
  return MakeSafetensors(
      R"({"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}})",
      "12345678aaaabbbbccccddddeeeeffff");
}

}  // namespace retort::data
