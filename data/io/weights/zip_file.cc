#include "retort/data/io/weights/zip_file.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/crc32.h"

namespace retort::data {
namespace {

using Bytes = absl::Span<const uint8_t>;

constexpr uint64_t kMostRecords = 1 << 17;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kCentralSize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64Size = 56;
constexpr size_t kLocator64Size = 20;
constexpr uint16_t kExtra64 = 1;

// A little-endian number; the caller has made sure that it is there.
template <typename T>
T At(Bytes bytes, size_t position) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | static_cast<T>(bytes[position + i]) << (8 * i));
  return value;
}

uint16_t U16(Bytes bytes, size_t position) { return At<uint16_t>(bytes, position); }
uint32_t U32(Bytes bytes, size_t position) { return At<uint32_t>(bytes, position); }
uint64_t U64(Bytes bytes, size_t position) { return At<uint64_t>(bytes, position); }

absl::string_view Text(Bytes bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Text of a file, fit for a message.
std::string Shown(absl::string_view text) {
  constexpr size_t kLongest = 120;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kLongest)), text.size() > kLongest ? "..." : "", "\"");
}

template <typename... Parts>
absl::Status Damaged(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

// Where the central directory lies.
struct Directory {
  uint64_t offset;
  uint64_t size;
  uint64_t records;
};

absl::StatusOr<Directory> FindDirectory(Bytes file) {
  // The end record is last but for a comment of at most 65,535 bytes.
  size_t end = 0;
  bool found = false;
  for (size_t comment = 0; comment <= 0xffff && comment + kEndSize <= file.size() && !found; ++comment) {
    end = file.size() - kEndSize - comment;
    found = U32(file, end) == kEndSignature && U16(file, end + 20) == comment;
  }
  if (!found) return Damaged("its end is missing: was it copied or downloaded in full?");
  if (U16(file, end + 4) != 0 || U16(file, end + 6) != 0) return Damaged("it is a part of an archive on several disks");
  Directory directory = {U32(file, end + 16), U32(file, end + 12), U16(file, end + 10)};
  if (U16(file, end + 8) != directory.records) return Damaged("the counts of records in its end differ");

  uint64_t directory_end = end;
  if (end >= kLocator64Size && U32(file, end - kLocator64Size) == kLocator64Signature) {
    const size_t locator = end - kLocator64Size;
    if (U32(file, locator + 4) != 0 || U32(file, locator + 16) > 1) {
      return Damaged("it is a part of an archive on several disks");
    }
    const uint64_t end64 = U64(file, locator + 8);
    if (locator < kEnd64Size || end64 > locator - kEnd64Size || U32(file, end64) != kEnd64Signature) {
      return Damaged("its zip64 end is not where the locator says");
    }
    if (U64(file, end64 + 4) != locator - end64 - 12) return Damaged("its zip64 end has another size than it says");
    if (U32(file, end64 + 16) != 0 || U32(file, end64 + 20) != 0) {
      return Damaged("it is a part of an archive on several disks");
    }
    const Directory wide = {U64(file, end64 + 48), U64(file, end64 + 40), U64(file, end64 + 32)};
    const auto agrees = [](uint64_t narrow, uint64_t value, uint64_t saturated) {
      return narrow == saturated || narrow == value;
    };
    if (U64(file, end64 + 24) != wide.records || !agrees(directory.records, wide.records, 0xffff) ||
        !agrees(directory.offset, wide.offset, 0xffffffff) || !agrees(directory.size, wide.size, 0xffffffff)) {
      return Damaged("its two ends contradict each other");
    }
    directory = wide;
    directory_end = end64;
  }
  if (directory.offset > directory_end || directory.size != directory_end - directory.offset) {
    return Damaged("its directory, ", directory.size, " bytes at ", directory.offset, ", does not end at ",
                   directory_end, ", where the archive's end begins");
  }
  if (directory.records > kMostRecords || directory.records > directory.size / kCentralSize) {
    return Damaged("it claims ", directory.records, " records");
  }
  return directory;
}

// Sizes and offset of a record as the directory has them.
struct Extent {
  uint64_t compressed;
  uint64_t size;
  uint64_t offset;
};

// Replaces those numbers that did not fit 32 bits by those of the zip64 extra field.
absl::Status Widen(Bytes extra, const std::string& record, Extent* extent) {
  uint64_t* const wide[] = {&extent->size, &extent->compressed, &extent->offset};
  const bool needed =
      std::any_of(std::begin(wide), std::end(wide), [](const uint64_t* number) { return *number == 0xffffffff; });
  while (!extra.empty()) {
    if (extra.size() < 4 || U16(extra, 2) > extra.size() - 4) return Damaged(record, ": a torn extra field");
    Bytes field = extra.subspan(4, U16(extra, 2));
    const bool is_zip64 = U16(extra, 0) == kExtra64;
    extra.remove_prefix(4 + field.size());
    if (!is_zip64 || !needed) continue;
    for (uint64_t* number : wide) {
      if (*number != 0xffffffff) continue;
      if (field.size() < 8) return Damaged(record, ": a zip64 field that is too short");
      *number = U64(field, 0);
      field.remove_prefix(8);
    }
    return absl::OkStatus();
  }
  if (needed) return Damaged(record, ": needs a zip64 field and has none");
  return absl::OkStatus();
}

absl::StatusOr<ZipRecord> ReadRecord(Bytes file, const Directory& directory, Bytes entry, Bytes name, Bytes extra) {
  const std::string record = absl::StrCat("record ", Shown(Text(name)));
  const uint16_t flags = U16(entry, 8), method = U16(entry, 10);
  if (flags % 2 != 0) return Damaged(record, " is encrypted");
  if (method != 0) {
    return Damaged(record, " is compressed (method ", method, method == 8 ? ", deflate" : "",
                   "); only stored records are permitted, as torch.save writes them");
  }
  if (U16(entry, 34) != 0) return Damaged(record, " is on another disk");
  Extent extent = {U32(entry, 20), U32(entry, 24), U32(entry, 42)};
  RETORT_RETURN_IF_ERROR(Widen(extra, record, &extent));
  if (extent.compressed != extent.size) return Damaged(record, " is stored, but has two sizes");

  if (extent.offset > directory.offset || directory.offset - extent.offset < kLocalSize) {
    return Damaged(record, " is said to begin at ", extent.offset, ", beyond the records");
  }
  const Bytes local = file.subspan(extent.offset, directory.offset - extent.offset);
  if (U32(local, 0) != kLocalSignature) return Damaged(record, " does not begin at ", extent.offset, ", as is said");
  if (U16(local, 6) % 2 != 0 || U16(local, 8) != method) return Damaged(record, ": its two headers differ");
  const size_t header = kLocalSize + U16(local, 26) + U16(local, 28);
  if (header > local.size() || extent.size > local.size() - header) {
    return Damaged(record, " of ", extent.size, " bytes at ", extent.offset, " runs into the directory at ",
                   directory.offset);
  }
  if (local.subspan(kLocalSize, U16(local, 26)) != name) return Damaged(record, " has another name in its own header");
  for (const size_t position : {size_t{18}, size_t{22}}) {
    const uint32_t size = U32(local, position);  // 0 where the size was not known yet
    if (size != 0 && size != 0xffffffff && size != extent.size) return Damaged(record, ": its two headers differ");
  }
  return ZipRecord{Text(name), local.subspan(header, extent.size), U32(entry, 16)};
}

absl::StatusOr<std::vector<ZipRecord>> ReadRecords(Bytes file) {
  RETORT_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(file));
  std::vector<ZipRecord> records;
  records.reserve(directory.records);
  Bytes rest = file.subspan(directory.offset, directory.size);
  for (uint64_t i = 0; i < directory.records; ++i) {
    if (rest.size() < kCentralSize || U32(rest, 0) != kCentralSignature) {
      return Damaged("entry ", i, " of its directory is not there");
    }
    const size_t name = U16(rest, 28), extra = U16(rest, 30), comment = U16(rest, 32);
    if (name + extra + comment > rest.size() - kCentralSize) {
      return Damaged("entry ", i, " of its directory is not there in full");
    }
    RETORT_ASSIGN_OR_RETURN(const ZipRecord record,
                            ReadRecord(file, directory, rest.first(kCentralSize), rest.subspan(kCentralSize, name),
                                       rest.subspan(kCentralSize + name, extra)));
    records.push_back(record);
    rest.remove_prefix(kCentralSize + name + extra + comment);
  }
  if (!rest.empty()) return Damaged(rest.size(), " bytes behind its directory");

  std::sort(records.begin(), records.end(), [](const ZipRecord& a, const ZipRecord& b) {
    return std::make_pair(a.bytes.data(), a.bytes.size()) < std::make_pair(b.bytes.data(), b.bytes.size());
  });
  size_t end = 0;
  for (const ZipRecord& record : records) {
    // A record's header stands before its bytes.
    const size_t begin = static_cast<size_t>(record.bytes.data() - file.data());
    if (begin < end + kLocalSize + record.name.size()) {
      return Damaged("record ", Shown(record.name), " overlaps the one before it");
    }
    end = begin + record.bytes.size();
  }
  return records;
}

}  // namespace

absl::StatusOr<ZipFile> ZipFile::Open(const std::string& path) {
  ZipFile zip;
  zip.path_ = path;
  RETORT_ASSIGN_OR_RETURN(zip.storage_, MappedFile::Open(path));
  const auto damaged = [&path](absl::string_view what) { return Damaged(path, " is not a sound zip archive: ", what); };
  auto records = ReadRecords(zip.storage_->bytes());
  if (!records.ok()) return damaged(records.status().message());
  zip.records_ = *std::move(records);
  zip.by_name_.resize(zip.records_.size());
  std::iota(zip.by_name_.begin(), zip.by_name_.end(), 0u);
  const auto name = [&zip](uint32_t i) { return zip.records_[i].name; };
  std::sort(zip.by_name_.begin(), zip.by_name_.end(), [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  const auto twice = std::adjacent_find(zip.by_name_.begin(), zip.by_name_.end(),
                                        [&](uint32_t a, uint32_t b) { return name(a) == name(b); });
  if (twice != zip.by_name_.end()) return damaged(absl::StrCat("record ", Shown(name(*twice)), " occurs twice"));
  return zip;
}

const ZipRecord* ZipFile::Find(absl::string_view name) const {
  const auto found =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [this](uint32_t i, absl::string_view wanted) { return records_[i].name < wanted; });
  return found == by_name_.end() || records_[*found].name != name ? nullptr : &records_[*found];
}

absl::Status ZipFile::Verify(const ZipRecord& record) const {
  if (record.crc32 == 0) return absl::OkStatus();
  uint32_t crc = 0;
  storage_->Read(record.bytes, [&crc](Bytes piece) { crc = Crc32(piece, crc); });
  if (crc == record.crc32) return absl::OkStatus();
  return Damaged(path_, " is damaged: record ", Shown(record.name), " has another CRC-32 than it says");
}

}  // namespace retort::data
