#include "retort/data/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"

namespace retort::data {
namespace {

// A file that is read whole fits in memory with ease, or it should be mapped; also the end of an endless pipe.
constexpr size_t kLargestWholeRead = size_t{1} << 32;

// Folder that holds `path`.
std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::Status ErrnoStatus(int error_number, absl::string_view operation, absl::string_view path) {
  const std::string message = absl::StrCat(operation, " ", path, ": ", std::generic_category().message(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(absl::StrCat(message, "; free space or choose another folder"));
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoStatus(errno, "open", path);
  const absl::Cleanup closer = [descriptor] { close(descriptor); };
  struct stat info;
  if (fstat(descriptor, &info) != 0) return ErrnoStatus(errno, "stat", path);

  const auto too_large = [&path] {
    return absl::ResourceExhaustedError(absl::StrCat("read ", path, ": more than ", kLargestWholeRead, " bytes"));
  };
  if (static_cast<size_t>(info.st_size) > kLargestWholeRead) return too_large();

  // Pipes and devices say size 0, so what counts is the end of the file; the size only saves reallocation.
  std::string contents(static_cast<size_t>(info.st_size) + 1, '\0');
  size_t filled = 0;
  while (true) {
    if (filled > kLargestWholeRead) return too_large();
    if (filled == contents.size()) contents.resize(2 * contents.size());
    const ssize_t count = TEMP_FAILURE_RETRY(read(descriptor, contents.data() + filled, contents.size() - filled));
    if (count < 0) return ErrnoStatus(errno, "read", path);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  if (filled < static_cast<size_t>(info.st_size)) {
    return absl::DataLossError(absl::StrCat("read ", path, ": ended after ", filled, " of ", info.st_size, " bytes"));
  }
  contents.resize(filled);
  return contents;
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return ErrnoStatus(errno, "open", path);
  const absl::Cleanup closer = [descriptor] { close(descriptor); };
  struct stat info;
  if (fstat(descriptor, &info) != 0) return ErrnoStatus(errno, "stat", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat("map ", path, ": not a regular file"));

  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile({}));
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) return ErrnoStatus(errno, "map", path);
  return std::shared_ptr<const MappedFile>(
      new MappedFile(absl::MakeConstSpan(static_cast<const uint8_t*>(address), size)));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

void MappedFile::Release(absl::Span<const uint8_t> part) const {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  // Advice: that it is not followed harms nothing.
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::Read(absl::Span<const uint8_t> part, absl::FunctionRef<void(absl::Span<const uint8_t>)> visit) const {
  constexpr size_t kPiece = 1 << 20;
  while (!part.empty()) {
    // Ends where a page ends, so that none is left between two pieces.
    const size_t position = static_cast<size_t>(part.data() - bytes_.data());
    const absl::Span<const uint8_t> piece = part.first(std::min(part.size(), kPiece - position % kPiece));
    visit(piece);
    Release(piece);
    part.remove_prefix(piece.size());
  }
}

AtomicFile::AtomicFile(std::string path, std::string temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  std::random_device random;
  while (true) {
    // The name does not grow with `path`, so a name of the greatest permitted length still works.
    std::string temporary =
        absl::StrCat(Parent(path), "/.retort-", getpid(), "-", absl::Hex(random(), absl::kZeroPad8), ".tmp");
    const int descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), descriptor));
    if (errno != EEXIST) return ErrnoStatus(errno, "create a file beside", path);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFile::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = TEMP_FAILURE_RETRY(write(descriptor_, bytes.data(), bytes.size()));
    if (count < 0) return ErrnoStatus(errno, "write", path_);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Append(absl::Span<const uint8_t> bytes) {
  return Append(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

absl::Status AtomicFile::Commit() {
  if (fsync(descriptor_) != 0) return ErrnoStatus(errno, "flush", path_);
  // close() may report a write that failed late. It is never repeated: the descriptor is gone either way.
  if (close(std::exchange(descriptor_, -1)) != 0) return ErrnoStatus(errno, "close", path_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return ErrnoStatus(errno, "rename a finished file to", path_);
  temporary_.clear();
  return SyncDirectory(Parent(path_));
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents) {
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  RETORT_RETURN_IF_ERROR(file->Append(contents));
  return file->Commit();
}

absl::Status MakeDirectories(const std::string& path) {
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string folder = path.substr(0, end);
    if (mkdir(folder.c_str(), 0777) == 0) continue;
    const int error = errno;
    // A folder that is there may be answered with EEXIST, or, where it may not be written, EACCES or EROFS.
    struct stat info;
    if (stat(folder.c_str(), &info) != 0) return ErrnoStatus(error, "make folder", folder);
    if (!S_ISDIR(info.st_mode)) {
      return absl::PermissionDeniedError(
          absl::StrCat("cannot make folder ", path, ": ", folder, " is a file; remove it or choose another folder"));
    }
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoStatus(errno, "open folder", path);
  const absl::Cleanup closer = [descriptor] { close(descriptor); };
  if (fsync(descriptor) != 0) return ErrnoStatus(errno, "flush folder", path);
  return absl::OkStatus();
}

}  // namespace retort::data
