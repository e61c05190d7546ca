#include "retort/data/io/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/file.h"

namespace retort::data {

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Try(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return ErrnoStatus(errno, "open", path);
  std::unique_ptr<FileLock> lock(new FileLock(descriptor));
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return absl::UnavailableError(absl::StrCat(path, " is locked by another process"));
  return ErrnoStatus(errno, "lock", path);
}

FileLock::~FileLock() { close(descriptor_); }

}  // namespace retort::data
