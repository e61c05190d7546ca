#include "retort/data/io/safetensors.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLargestHeader = 100'000'000;
constexpr size_t kMostDimensions = 64;
constexpr char kMetadataKey[] = "__metadata__";
constexpr char kHashKey[] = "retort.sha256";
constexpr size_t kHashDigits = 64;

struct DTypeInfo {
  DType dtype;
  absl::string_view name;
  int64_t size;
};

// In the order of the enum.
constexpr DTypeInfo kDTypes[] = {
    {DType::kBool, "BOOL", 1}, {DType::kU8, "U8", 1},   {DType::kI8, "I8", 1},     {DType::kU16, "U16", 2},
    {DType::kI16, "I16", 2},   {DType::kF16, "F16", 2}, {DType::kBF16, "BF16", 2}, {DType::kU32, "U32", 4},
    {DType::kI32, "I32", 4},   {DType::kF32, "F32", 4}, {DType::kU64, "U64", 8},   {DType::kI64, "I64", 8},
    {DType::kF64, "F64", 8},
};

const DTypeInfo& Info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

// product(shape) * size of an element; false on overflow of int64.
bool ByteCount(DType dtype, absl::Span<const int64_t> shape, int64_t* bytes) {
  *bytes = DTypeSize(dtype);
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(*bytes, extent, bytes)) return false;
  }
  return true;
}

std::string ShapeText(absl::Span<const int64_t> shape) { return absl::StrCat("[", absl::StrJoin(shape, ","), "]"); }

// What the header says of one tensor.
struct Entry {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

// Takes the header's JSON event by event: nothing nested deeper than the format allows is ever built.
// Depth 1 is the header object; 2 a tensor or the metadata; 3 the array of a shape or of offsets.
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string fault;

  bool start_object(size_t) {
    if (depth_ >= 2) return Fail("an object where none may be");
    if (++depth_ == 2) fields_ = 0;
    return true;
  }

  bool end_object() {
    --depth_;
    if (depth_ == 1 && !in_metadata_ && fields_ != kAllFields) {
      return Fail("needs each of dtype, shape and data_offsets");
    }
    return true;
  }

  bool key(string_t& text) {
    if (depth_ == 1) {
      name_ = text;
      if (!names_.insert(text).second) return Fail("the name occurs twice");
      in_metadata_ = text == kMetadataKey;
      if (!in_metadata_) entries.push_back({text, DType::kU8, {}, 0, 0});
      return true;
    }
    if (in_metadata_) {
      metadata_key_ = text;
      return metadata.emplace(text, "").second || Fail(absl::StrCat("key \"", text, "\" occurs twice"));
    }
    field_ = text == "dtype" ? kDType : text == "shape" ? kShape : text == "data_offsets" ? kOffsets : kNone;
    if (field_ == kNone) return Fail(absl::StrCat("unknown key \"", text, "\""));
    if (fields_ & field_) return Fail(absl::StrCat("key \"", text, "\" occurs twice"));
    fields_ |= field_;
    return true;
  }

  bool start_array(size_t) {
    if (depth_ != 2 || in_metadata_ || field_ == kDType) return Fail("an array where none may be");
    depth_ = 3;
    numbers_.clear();
    return true;
  }

  bool end_array() {
    depth_ = 2;
    if (field_ == kShape) {
      entries.back().shape.assign(numbers_.begin(), numbers_.end());
      return true;
    }
    if (numbers_.size() != 2) return Fail("data_offsets needs two numbers");
    entries.back().begin = numbers_[0];
    entries.back().end = numbers_[1];
    return true;
  }

  bool number_unsigned(number_unsigned_t value) {
    if (depth_ != 3) return Fail("a number where none may be");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Fail("a number beyond 2^63 - 1");
    if (numbers_.size() == kMostDimensions) return Fail(absl::StrCat("more than ", kMostDimensions, " dimensions"));
    numbers_.push_back(value);
    return true;
  }

  bool string(string_t& text) {
    if (depth_ != 2) return Fail("a string where none may be");
    if (in_metadata_) {
      metadata[metadata_key_] = text;
      return true;
    }
    if (field_ != kDType) return Fail("a string where numbers should be");
    for (const DTypeInfo& info : kDTypes) {
      if (info.name != text) continue;
      entries.back().dtype = info.dtype;
      return true;
    }
    return Fail(absl::StrCat("dtype \"", text, "\" is not among ",
                             absl::StrJoin(kDTypes, ", ", [](std::string* out, const DTypeInfo& info) {
                               absl::StrAppend(out, info.name);
                             })));
  }

  bool null() { return Fail("a null where none may be"); }
  bool boolean(bool) { return Fail("a boolean where none may be"); }
  bool number_integer(number_integer_t) { return Fail("a negative number"); }
  bool number_float(number_float_t, const string_t&) { return Fail("a number that is not a whole one below 2^63"); }
  bool binary(binary_t&) { return Fail("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    fault = absl::StrCat("not UTF-8 JSON at byte ", position);
    return false;
  }

 private:
  enum Field { kNone = 0, kDType = 1, kShape = 2, kOffsets = 4, kAllFields = 7 };

  bool Fail(absl::string_view what) {
    fault = absl::StrCat("entry \"", name_, "\": ", what);
    return false;
  }

  int depth_ = 0;
  std::set<std::string> names_;
  std::string name_;
  bool in_metadata_ = false;
  std::string metadata_key_;
  int fields_ = 0;
  Field field_ = kNone;
  std::vector<uint64_t> numbers_;
};

absl::string_view Text(absl::Span<const uint8_t> bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// "retort.sha256":"<hash>", as it stands in a header.
std::string HashEntry(absl::string_view hash) { return absl::StrCat("\"", kHashKey, "\":\"", hash, "\""); }

// `text` as a JSON string; the caller has made sure that it is UTF-8.
std::string Quote(const std::string& text) { return nlohmann::json(text).dump(); }

// The JSON writer leaves faulty bytes out, or replaces them: the same text only where there are none.
bool IsUtf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore) ==
         Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::string_view DTypeName(DType dtype) { return Info(dtype).name; }
int64_t DTypeSize(DType dtype) { return Info(dtype).size; }

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  RETORT_ASSIGN_OR_RETURN(file.storage_, MappedFile::Open(path));
  const absl::Span<const uint8_t> bytes = file.storage_->bytes();
  const auto damaged = [&path](const auto&... what) {
    return absl::DataLossError(absl::StrCat(path, " is not a sound safetensors file: ", what...));
  };

  if (bytes.size() < kLengthBytes) return damaged("it has ", bytes.size(), " bytes, less than the header's length");
  uint64_t header_size;
  std::memcpy(&header_size, bytes.data(), kLengthBytes);
  header_size = le64toh(header_size);
  if (header_size > kLargestHeader) {
    return damaged("it claims a header of ", header_size, " bytes; at most ", kLargestHeader, " are permitted");
  }
  if (header_size > bytes.size() - kLengthBytes) {
    return damaged("it claims a header of ", header_size, " bytes, but has ", bytes.size() - kLengthBytes);
  }
  const absl::string_view header = Text(bytes.subspan(kLengthBytes, header_size));
  const absl::Span<const uint8_t> data = bytes.subspan(kLengthBytes + header_size);
  // The JSON parser would skip a byte order mark, and take a NUL for the end.
  if (!absl::StartsWith(header, "{")) return damaged("the header does not start with {");
  if (absl::StrContains(header, '\0')) return damaged("the header holds a NUL");

  HeaderReader reader;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) return damaged(reader.fault);

  std::vector<Entry>& entries = reader.entries;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t end = 0;
  for (Entry& entry : entries) {
    const std::string range = absl::StrCat("tensor \"", entry.name, "\" at [", entry.begin, ", ", entry.end, ")");
    if (entry.begin != end) return damaged(range, ": the tensors before it end at ", end);
    if (entry.end < entry.begin) return damaged(range, ": ends before it begins");
    if (entry.end > data.size()) return damaged(range, ": the data end at ", data.size());
    int64_t count;
    if (!ByteCount(entry.dtype, entry.shape, &count) || static_cast<uint64_t>(count) != entry.end - entry.begin) {
      return damaged(range, ": does not fit ", DTypeName(entry.dtype), " ", ShapeText(entry.shape));
    }
    end = entry.end;
    file.tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                             data.subspan(entry.begin, entry.end - entry.begin)});
  }
  if (end != data.size()) return damaged("the tensors end at ", end, ", the data at ", data.size());
  file.metadata_ = std::move(reader.metadata);
  return file;
}

absl::StatusOr<TensorView> SafetensorsFile::Find(absl::string_view name) const {
  for (const TensorView& tensor : tensors_) {
    if (tensor.name == name) return tensor;
  }
  return absl::NotFoundError(absl::StrCat(path_, " has no tensor \"", name, "\"; it has ",
                                          absl::StrJoin(tensors_, ", ", [](std::string* out, const TensorView& tensor) {
                                            absl::StrAppend(out, tensor.name);
                                          })));
}

absl::Status SafetensorsFile::Verify() const { return metadata_.count(kHashKey) == 0 ? absl::OkStatus() : VerifyOwn(); }

absl::Status SafetensorsFile::VerifyOwn() const {
  const auto damaged = [this](const auto&... what) {
    return absl::DataLossError(absl::StrCat(path_, " is damaged, or was changed by another program: ", what...));
  };
  const auto entry = metadata_.find(kHashKey);
  if (entry == metadata_.end()) return damaged("its metadata lack \"", kHashKey, "\"");
  const absl::string_view file = Text(storage_->bytes());
  const size_t position = file.find(HashEntry(entry->second));
  if (entry->second.size() != kHashDigits || position == absl::string_view::npos) {
    return damaged("\"", kHashKey, "\" is not written as expected");
  }
  const size_t digits = position + HashEntry("").size() - 1;
  Sha256 hash;
  hash.Update(file.substr(0, digits));
  hash.Update(std::string(kHashDigits, '0'));
  hash.Update(file.substr(digits + kHashDigits));
  if (hash.HexDigest() != entry->second) return damaged("its SHA-256 differs from the one written into it");
  return absl::OkStatus();
}

absl::Status WriteSafetensors(const std::string& path, absl::Span<const TensorView> tensors,
                              const std::map<std::string, std::string>& metadata) {
  const auto refused = [&path](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("write ", path, ": ", what...));
  };

  // Metadata first, then the tensors in the order of their bytes, as the reference writer has them.
  std::vector<std::string> items = {HashEntry(std::string(kHashDigits, '0'))};
  for (const auto& [key, value] : metadata) {
    if (!IsUtf8(key) || !IsUtf8(value)) return refused("metadata \"", key, "\" is not UTF-8");
    if (key != kHashKey) items.push_back(absl::StrCat(Quote(key), ":", Quote(value)));
  }
  std::string header = absl::StrCat("{\"", kMetadataKey, "\":{", absl::StrJoin(items, ","), "}");

  std::vector<const TensorView*> sorted;
  for (const TensorView& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(), [](const TensorView* a, const TensorView* b) {
    return std::make_tuple(-DTypeSize(a->dtype), absl::string_view(a->name)) <
           std::make_tuple(-DTypeSize(b->dtype), absl::string_view(b->name));
  });
  std::set<absl::string_view> names = {kMetadataKey};
  uint64_t begin = 0;
  for (const TensorView* tensor : sorted) {
    if (!IsUtf8(tensor->name)) return refused("tensor name \"", tensor->name, "\" is not UTF-8");
    if (!names.insert(tensor->name).second) return refused("tensor name \"", tensor->name, "\" is taken");
    if (tensor->shape.size() > kMostDimensions) {
      return refused("tensor \"", tensor->name, "\" has more than ", kMostDimensions, " dimensions");
    }
    int64_t count;
    if (!ByteCount(tensor->dtype, tensor->shape, &count) || static_cast<size_t>(count) != tensor->bytes.size()) {
      return refused("tensor \"", tensor->name, "\" has ", tensor->bytes.size(), " bytes, which do not fit ",
                     DTypeName(tensor->dtype), " ", ShapeText(tensor->shape));
    }
    const uint64_t end = begin + tensor->bytes.size();
    absl::StrAppend(&header, ",", Quote(tensor->name), ":{\"dtype\":\"", DTypeName(tensor->dtype),
                    "\",\"shape\":", ShapeText(tensor->shape), ",\"data_offsets\":[", begin, ",", end, "]}");
    begin = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kLargestHeader) return refused("the header takes ", header.size(), " bytes");

  const uint64_t length = htole64(header.size());
  header.insert(0, reinterpret_cast<const char*>(&length), kLengthBytes);
  Sha256 hash;
  hash.Update(header);
  for (const TensorView* tensor : sorted) hash.Update(tensor->bytes);
  const size_t digits = header.find(HashEntry(std::string(kHashDigits, '0'))) + HashEntry("").size() - 1;
  header.replace(digits, kHashDigits, hash.HexDigest());

  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  RETORT_RETURN_IF_ERROR(file->Append(header));
  for (const TensorView* tensor : sorted) RETORT_RETURN_IF_ERROR(file->Append(tensor->bytes));
  return file->Commit();
}

}  // namespace retort::data
