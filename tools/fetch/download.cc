#include "retort/tools/fetch/download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"

namespace retort::tools {
namespace {

using data::ErrnoStatus;

constexpr curl_off_t kStallBytesPerSecond = 1024;

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// DataLoss unless the file has the digests of `request`.
absl::Status CheckDigests(const DownloadRequest& request, const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::shared_ptr<const data::MappedFile> file, data::MappedFile::Open(path));
  const auto check = [&](const EVP_MD* algorithm, absl::string_view name, const std::string& expected) {
    if (expected.empty()) return absl::OkStatus();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(file->bytes().data(), file->bytes().size(), digest, &size, algorithm, nullptr) != 1) {
      return absl::InternalError(absl::StrCat("libcrypto cannot compute ", name));
    }
    const std::string found = absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
    if (found == expected) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(request.url, " is not the expected file: ", file->bytes().size(),
                                            " bytes with ", name, " ", found, " instead of ", expected));
  };
  RETORT_RETURN_IF_ERROR(check(EVP_md5(), "md5", request.md5));
  return check(EVP_sha256(), "SHA-256", request.sha256);
}

// <path>.part, locked for as long as this lives, so that two processes do not write it at once.
class PartFile {
 public:
  static absl::StatusOr<std::unique_ptr<PartFile>> Open(const std::string& path) {
    while (true) {
      auto part = std::unique_ptr<PartFile>(new PartFile(path));
      part->descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
      if (part->descriptor_ < 0) return ErrnoStatus(errno, "open", path);
      if (flock(part->descriptor_, LOCK_EX | LOCK_NB) != 0) {
        return absl::UnavailableError(absl::StrCat("another process is downloading ", path, "; wait for it to finish"));
      }
      // Between open and lock, the process that held it may have finished and renamed the file.
      struct stat opened, named;
      if (fstat(part->descriptor_, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino) {
        return part;
      }
    }
  }
  ~PartFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::string& path() const { return path_; }

  absl::StatusOr<int64_t> Size() const {
    struct stat info;
    if (fstat(descriptor_, &info) != 0) return ErrnoStatus(errno, "stat", path_);
    return info.st_size;
  }

  absl::Status Clear() {
    if (ftruncate(descriptor_, 0) != 0) return ErrnoStatus(errno, "truncate", path_);
    return absl::OkStatus();
  }

  absl::Status Append(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = TEMP_FAILURE_RETRY(write(descriptor_, bytes.data(), bytes.size()));
      if (count < 0) return ErrnoStatus(errno, "write", path_);
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return absl::OkStatus();
  }

  // Durable under `path`.
  absl::Status Publish(const std::string& path) {
    if (fsync(descriptor_) != 0) return ErrnoStatus(errno, "flush", path_);
    if (rename(path_.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "rename a finished file to", path);
    if (close(std::exchange(descriptor_, -1)) != 0) return ErrnoStatus(errno, "close", path);
    return data::SyncDirectory(Parent(path));
  }

 private:
  explicit PartFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  int descriptor_ = -1;
};

// One request and its answer.
struct Transfer {
  const DownloadRequest& request;
  PartFile& part;
  CURL* curl;
  int64_t start;    // bytes that were there before
  int64_t written;  // now
  bool answered;
  absl::Status status;  // of our own side: disk, limit

  absl::Status Take(absl::string_view bytes) {
    if (!std::exchange(answered, true) && start > 0) {
      long code = 0;
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
      // A server without ranges sends everything from the beginning.
      if (code != 206) {
        RETORT_RETURN_IF_ERROR(part.Clear());
        start = 0;
      }
    }
    written += static_cast<int64_t>(bytes.size());
    if (start + written > request.most_bytes) {
      return absl::DataLossError(
          absl::StrCat(request.url, " sends more than ", request.most_bytes, " bytes: it is not the expected file"));
    }
    return part.Append(bytes);
  }
};

size_t OnBytes(char* bytes, size_t size, size_t count, void* transfer) {
  auto& self = *static_cast<Transfer*>(transfer);
  self.status = self.Take({bytes, size * count});
  return self.status.ok() ? size * count : 0;
}

int OnProgress(void* transfer, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  const auto& self = *static_cast<const Transfer*>(transfer);
  self.request.progress(self.start + self.written, total > 0 && self.answered ? self.start + total : 0);
  return 0;
}

// Appends what the server has beyond what is there. OK: it has no more. Unavailable: worth another attempt.
absl::Status Resume(const DownloadRequest& request, PartFile& part) {
  RETORT_ASSIGN_OR_RETURN(const int64_t start, part.Size());
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), &curl_easy_cleanup);
  CURL* const curl = handle.get();
  if (curl == nullptr) return absl::InternalError("libcurl cannot start");
  Transfer transfer{request, part, curl, start, 0, false, absl::OkStatus()};
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "retort-fetch");
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  const auto stall_seconds = static_cast<long>(absl::ToInt64Seconds(request.stall_timeout));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, stall_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall_seconds);
  // Not CURLOPT_RESUME_FROM, which gives up where the server has no ranges.
  const std::string range = absl::StrCat(start, "-");
  if (start > 0) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &OnBytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  if (request.progress) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &OnProgress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  }

  const CURLcode result = curl_easy_perform(curl);
  long code = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  const std::string message =
      absl::StrCat("download ", request.url, ": ", *reason == '\0' ? curl_easy_strerror(result) : reason);
  switch (result) {
    case CURLE_OK:
      return absl::OkStatus();
    case CURLE_WRITE_ERROR:
      return transfer.status.ok() ? absl::UnavailableError(message) : transfer.status;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return absl::InvalidArgumentError(absl::StrCat(message, "; give an http or https URL"));
    case CURLE_HTTP_RETURNED_ERROR:
      // Nothing lies beyond what is there: either it is whole, or it is not this file; the digest will tell.
      if (code == 416 && start > 0) return absl::OkStatus();
      if (code >= 400 && code < 500 && code != 408 && code != 429) {
        return absl::NotFoundError(absl::StrCat(message, "; give another place with --url"));
      }
      return absl::UnavailableError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

absl::StatusOr<DownloadResult> Download(const DownloadRequest& request) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) return absl::InternalError("libcurl cannot start");

  RETORT_RETURN_IF_ERROR(data::MakeDirectories(Parent(request.path)));
  const auto finished = [&request] { return CheckDigests(request, request.path).ok(); };
  if (finished()) return DownloadResult::kAlreadyThere;
  RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<PartFile> part, PartFile::Open(request.path + ".part"));
  // Another process may have finished it before the lock was ours.
  const absl::Cleanup remove_empty = [&part] {
    const absl::StatusOr<int64_t> size = part->Size();
    if (size.ok() && *size == 0) unlink(part->path().c_str());
  };
  if (finished()) return DownloadResult::kAlreadyThere;

  absl::Duration delay = request.retry_delay;
  absl::Status status;
  for (int attempt = 1; attempt <= request.attempts; ++attempt, delay *= 2) {
    if (attempt > 1) absl::SleepFor(delay / 2);
    RETORT_ASSIGN_OR_RETURN(const int64_t start, part->Size());
    status = Resume(request, *part);
    if (status.ok()) status = CheckDigests(request, part->path());
    if (status.ok()) {
      RETORT_RETURN_IF_ERROR(part->Publish(request.path));
      return DownloadResult::kDownloaded;
    }
    if (absl::IsDataLoss(status)) {
      RETORT_RETURN_IF_ERROR(part->Clear());
      // What was resumed may have been another file's beginning; what came in one piece will not get better.
      if (start == 0) return status;
    } else if (!absl::IsUnavailable(status)) {
      return status;
    }
  }
  return status;
}

}  // namespace retort::tools
