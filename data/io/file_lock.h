// A lock between processes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace retort::data {

// Held as long as the object lives, and no longer than the process (flock).
class FileLock {
 public:
  // Makes the file if need be, which stays. Unavailable while another process, or another object of this one, holds it;
  // otherwise as data/io/file.h.
  static absl::StatusOr<std::unique_ptr<FileLock>> Try(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace retort::data
