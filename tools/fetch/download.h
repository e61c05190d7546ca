// One file from a web server: resumed where it was cut, checked, and under its name entirely or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace retort::tools {

struct DownloadRequest {
  std::string url;   // http or https
  std::string path;  // of the finished file; <path>.part holds what has arrived
  // Lower-case hexadecimal digests of the content; an empty one is not checked.
  std::string md5;
  std::string sha256;
  int64_t most_bytes = int64_t{1} << 30;
  // How often the transfer is begun or resumed, and the wait after the first failure; it doubles each time.
  int attempts = 5;
  absl::Duration retry_delay = absl::Seconds(1);
  // The transfer is cut, and resumed, after this long with under 1 KB/s; whole seconds.
  absl::Duration stall_timeout = absl::Seconds(30);
  // Called several times a second with bytes so far and of the whole file (0 while unknown). May be empty.
  std::function<void(int64_t done, int64_t total)> progress;
};

enum class DownloadResult { kAlreadyThere, kDownloaded };

// Does nothing if `path` is there with the right digests; a file with others is replaced. Folders are made as needed.
// Errors, all with the URL or path in question:
//   InvalidArgument     not an http or https URL
//   NotFound            the server does not have it, or does not give it to us (4xx)
//   Unavailable         no connection, cut too often, stalled, 5xx, or another process is downloading it; <path>.part
//   stays DataLoss            the whole file arrived and its digest is wrong, or it is longer than `most_bytes`;
//   nothing stays PermissionDenied, ResourceExhausted, Internal   as in data/io/file.h
absl::StatusOr<DownloadResult> Download(const DownloadRequest& request);

}  // namespace retort::tools
