// Files: whole reads, read-only maps, and writes that are there entirely or not at all.
//
// Every error names the operation and the path. Codes: NotFound (no such file), PermissionDenied (access, read-only
// file system), ResourceExhausted (disk or quota full), DataLoss (shorter than said), InvalidArgument (a folder or
// device where a file has to be mapped), Internal (anything else).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace retort::data {

// The status for `error_number` (an errno) met while doing `operation` ("open", "write") on `path`.
absl::Status ErrnoStatus(int error_number, absl::string_view operation, absl::string_view path);

absl::StatusOr<std::string> ReadFile(const std::string& path);

// A read-only map of a whole file; the bytes live as long as the object.
class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::Span<const uint8_t> bytes() const { return bytes_; }

  // Takes the whole pages of `part` of bytes() out of this process's memory until they are read again.
  void Release(absl::Span<const uint8_t> part) const;

  // Gives `visit` one piece of `part` after the other, of 1 MB or less, and releases each behind it: however large the
  // file, it takes no more memory.
  void Read(absl::Span<const uint8_t> part, absl::FunctionRef<void(absl::Span<const uint8_t>)> visit) const;

 private:
  explicit MappedFile(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  absl::Span<const uint8_t> bytes_;
};

// Writes a new file through a temporary one in the same folder. After Commit() the file is complete and durable under
// its name; without Commit() the temporary file is removed and a file that was there before is untouched.
//
//   RETORT_ASSIGN_OR_RETURN(auto file, AtomicFile::Create(path));
//   RETORT_RETURN_IF_ERROR(file->Append(bytes));
//   RETORT_RETURN_IF_ERROR(file->Commit());
class AtomicFile {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  absl::Status Append(absl::string_view bytes);
  absl::Status Append(absl::Span<const uint8_t> bytes);

  // Flushes, closes, renames, and flushes the folder, each checked.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int descriptor);

  std::string path_;
  std::string temporary_;
  int descriptor_;
};

// AtomicFile with one Append.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents);

// Makes `path` and its parents; no error where they exist.
absl::Status MakeDirectories(const std::string& path);

// Makes renames and new names within the folder durable.
absl::Status SyncDirectory(const std::string& path);

}  // namespace retort::data
