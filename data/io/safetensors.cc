#include "retort/data/io/safetensors.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLargestHeader = 100'000'000;
constexpr size_t kMostDimensions = 64;
constexpr size_t kLongestText = 2 << 20;
// What a header may make us keep.
constexpr size_t kMemory = 40 << 20;
constexpr char kMetadataKey[] = "__metadata__";
constexpr char kHashKey[] = "retort.sha256";
constexpr size_t kHashDigits = 64;
constexpr size_t kShownName = 200;

// What the header says of one tensor.
struct Entry {
  TensorView tensor;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Text and runs of white space that the JSON parser would have to keep whole, or nothing. Returns where one too long
// begins.
absl::optional<size_t> LongToken(absl::string_view header) {
  size_t begin = 0;
  bool quoted = false;
  char before = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    const bool escaped = quoted && before == '\\';
    if (c == '"' && !escaped) quoted = !quoted;
    // What the parser keeps begins anew at a quotation mark and behind a punctuation mark.
    if ((c == '"' && !escaped) || (!quoted && (c == ',' || c == ':' || c == '{' || c == '['))) begin = i;
    if (i - begin > kLongestText) return begin;
    before = escaped ? 0 : c;
  }
  return absl::nullopt;
}

// Takes the header's JSON event by event: nothing nested deeper than the format allows is ever built.
// Depth 1 is the header object; 2 a tensor or the metadata; 3 the array of a shape or of offsets.
class HeaderReader {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  std::deque<Entry> entries;  // never moved while it grows
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
      in_metadata_ = text == kMetadataKey;
      if (in_metadata_ && std::exchange(had_metadata_, true)) return Fail("the name occurs twice");
      if (in_metadata_) return true;
      entries.push_back({{text, DType::kU8, {}, {}}, 0, 0});
      return Charge(text.size());
    }
    if (in_metadata_) {
      metadata_key_ = text;
      if (!metadata.emplace(text, "").second) return Fail(absl::StrCat("key \"", text, "\" occurs twice"));
      return Charge(text.size());
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
      entries.back().tensor.shape.assign(numbers_.begin(), numbers_.end());
      return Charge(numbers_.size() * sizeof(int64_t));
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
      return Charge(text.size());
    }
    if (field_ != kDType) return Fail("a string where numbers should be");
    if (const absl::optional<DType> dtype = DTypeOfName(text); dtype.has_value()) {
      entries.back().tensor.dtype = *dtype;
      return true;
    }
    return Fail(absl::StrCat("dtype \"", text, "\" is not among ",
                             absl::StrJoin(AllDTypes(), ", ", [](std::string* out, DType dtype) {
                               absl::StrAppend(out, DTypeName(dtype));
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
    fault = absl::StrCat("entry \"", name_.substr(0, kShownName), "\": ", what);
    return false;
  }

  // Accounts for `bytes` of text or numbers, and for what holds them.
  bool Charge(size_t bytes) {
    constexpr size_t kHolder = 112;
    charged_ += kHolder + bytes;
    return charged_ <= kMemory || Fail(absl::StrCat("the header takes more than ", kMemory, " bytes of memory"));
  }

  int depth_ = 0;
  size_t charged_ = 0;
  std::string name_;
  bool in_metadata_ = false;
  bool had_metadata_ = false;
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

  if (const absl::optional<size_t> token = LongToken(header); token.has_value()) {
    return damaged("the header has more than ", kLongestText, " bytes of text or space at byte ", *token);
  }

  HeaderReader reader;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) return damaged(reader.fault);

  std::deque<Entry>& entries = reader.entries;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.tensor.name < b.tensor.name; });
  const auto twice = std::adjacent_find(entries.begin(), entries.end(),
                                        [](const Entry& a, const Entry& b) { return a.tensor.name == b.tensor.name; });
  if (twice != entries.end()) return damaged("entry \"", twice->tensor.name, "\": the name occurs twice");
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.tensor.name) < std::tie(b.begin, b.end, b.tensor.name);
  });
  uint64_t end = 0;
  file.tensors_.reserve(entries.size());
  for (Entry& entry : entries) {
    TensorView& tensor = entry.tensor;
    const auto fault = [&](const auto&... what) {
      return damaged("tensor \"", tensor.name.substr(0, kShownName), "\" at [", entry.begin, ", ", entry.end,
                     "): ", what...);
    };
    if (entry.begin != end) return fault("the tensors before it end at ", end);
    if (entry.end < entry.begin) return fault("ends before it begins");
    if (entry.end > data.size()) return fault("the data end at ", data.size());
    const absl::optional<int64_t> count = ByteCount(tensor.dtype, tensor.shape);
    if (!count.has_value() || static_cast<uint64_t>(*count) != entry.end - entry.begin) {
      return fault("does not fit ", DescribeTensor(tensor.dtype, tensor.shape));
    }
    end = entry.end;
    tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    file.tensors_.push_back(std::move(tensor));
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
  const auto update = [&hash](absl::Span<const uint8_t> piece) { hash.Update(piece); };
  storage_->Read(storage_->bytes().first(digits), update);
  hash.Update(std::string(kHashDigits, '0'));
  storage_->Read(storage_->bytes().subspan(digits + kHashDigits), update);
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
    return std::make_tuple(-DTypeBits(a->dtype), absl::string_view(a->name)) <
           std::make_tuple(-DTypeBits(b->dtype), absl::string_view(b->name));
  });
  std::set<absl::string_view> names = {kMetadataKey};
  uint64_t begin = 0;
  for (const TensorView* tensor : sorted) {
    if (!IsUtf8(tensor->name)) return refused("tensor name \"", tensor->name, "\" is not UTF-8");
    if (!names.insert(tensor->name).second) return refused("tensor name \"", tensor->name, "\" is taken");
    if (tensor->shape.size() > kMostDimensions) {
      return refused("tensor \"", tensor->name, "\" has more than ", kMostDimensions, " dimensions");
    }
    const absl::optional<int64_t> count = ByteCount(tensor->dtype, tensor->shape);
    if (!count.has_value() || static_cast<size_t>(*count) != tensor->bytes.size()) {
      return refused("tensor \"", tensor->name, "\" has ", tensor->bytes.size(), " bytes, which do not fit ",
                     DescribeTensor(tensor->dtype, tensor->shape));
    }
    const uint64_t end = begin + tensor->bytes.size();
    absl::StrAppend(&header, ",", Quote(tensor->name), ":{\"dtype\":\"", DTypeName(tensor->dtype), "\",\"shape\":[",
                    absl::StrJoin(tensor->shape, ","), "],\"data_offsets\":[", begin, ",", end, "]}");
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
