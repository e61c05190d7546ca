// Zip archives of stored records, as torch.save writes them, mapped into memory. Format: PKWARE APPNOTE.TXT 6.3.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "retort/data/io/file.h"

namespace retort::data {

// Views into the archive.
struct ZipRecord {
  absl::string_view name;
  absl::Span<const uint8_t> bytes;
  uint32_t crc32;
};

// An archive opened for reading, by its central directory. Open() checks everything but the records' CRCs; DataLoss
// says what is wrong: records that are deflated, encrypted, on another disk, overlap, leave the file or have a name
// twice; headers that contradict each other; data in front of or behind the archive. At most 131,072 records.
class ZipFile {
 public:
  static absl::StatusOr<ZipFile> Open(const std::string& path);

  // In the order of their bytes.
  const std::vector<ZipRecord>& records() const { return records_; }
  // Null where there is none.
  const ZipRecord* Find(absl::string_view name) const;

  // DataLoss if the bytes of `record` do not have its CRC-32. A CRC of 0 says nothing: torch.save can be told to
  // compute none.
  absl::Status Verify(const ZipRecord& record) const;

  const std::shared_ptr<const MappedFile>& storage() const { return storage_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> storage_;
  std::vector<ZipRecord> records_;
  std::vector<uint32_t> by_name_;  // indices of records_, in the order of names
};

}  // namespace retort::data
