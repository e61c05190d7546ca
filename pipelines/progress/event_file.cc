#include "retort/pipelines/progress/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "retort/data/io/crc32c.h"
#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"

namespace retort::pipelines {
namespace {

constexpr char kPrefix[] = "events.out.tfevents.";

void AppendLittleEndian(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint32_t MaskedCrc(absl::string_view bytes) {
  const uint32_t crc = data::Crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

std::string Record(absl::string_view payload) {
  std::string record;
  AppendLittleEndian(payload.size(), 8, &record);
  AppendLittleEndian(MaskedCrc(record), 4, &record);
  absl::StrAppend(&record, payload);
  AppendLittleEndian(MaskedCrc(payload), 4, &record);
  return record;
}

// The number of the next file: the time, but more than that of any file in `folder`.
absl::StatusOr<int64_t> NextNumber(const std::string& folder) {
  int64_t next = absl::ToUnixSeconds(absl::Now());
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    absl::string_view rest = name;
    int64_t number = 0;
    if (!absl::ConsumePrefix(&rest, kPrefix)) continue;
    const std::vector<absl::string_view> parts = absl::StrSplit(rest, '.');
    if (absl::SimpleAtoi(parts[0], &number)) next = std::max(next, number + 1);
  }
  if (error) return data::ErrnoStatus(error.value(), "list", folder);
  return next;
}

absl::Status CheckStep(int64_t step) {
  if (step >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("step ", step, " of an event file; steps count from 0"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventFile>> EventFile::Create(const std::string& folder, int64_t first_step) {
  RETORT_RETURN_IF_ERROR(CheckStep(first_step));
  RETORT_RETURN_IF_ERROR(data::MakeDirectories(folder));
  std::string path;
  int descriptor = -1;
  // Another process may take the name first.
  for (int attempt = 0; descriptor < 0 && attempt < 100; ++attempt) {
    RETORT_ASSIGN_OR_RETURN(const int64_t number, NextNumber(folder));
    path = absl::StrFormat("%s/%s%010d.retort", folder, kPrefix, number);
    descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno != EEXIST) return data::ErrnoStatus(errno, "create", path);
  }
  if (descriptor < 0) return data::ErrnoStatus(EEXIST, "create", path);
  std::unique_ptr<EventFile> file(new EventFile(std::move(path), descriptor));
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  config::Event version;
  version.set_wall_time(now);
  version.set_file_version("brain.Event:2");
  RETORT_RETURN_IF_ERROR(file->Write(version));
  config::Event start;
  start.set_wall_time(now);
  start.set_step(first_step);
  start.mutable_session()->set_status(config::EventSession::START);
  RETORT_RETURN_IF_ERROR(file->Write(start));
  return file;
}

EventFile::~EventFile() { close(descriptor_); }

absl::Status EventFile::AddScalars(int64_t step, double wall_time,
                                   absl::Span<const std::pair<absl::string_view, double>> scalars) {
  RETORT_RETURN_IF_ERROR(CheckStep(step));
  if (scalars.empty()) return status_;
  config::Event event;
  event.set_wall_time(wall_time);
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    if (tag.empty()) return absl::InvalidArgumentError(absl::StrCat(path_, ": a scalar needs a tag"));
    config::EventSummary::Value* added = event.mutable_summary()->add_value();
    added->set_tag(std::string(tag));
    added->set_simple_value(static_cast<float>(value));
  }
  return Write(event);
}

absl::Status EventFile::Write(const config::Event& event) {
  RETORT_RETURN_IF_ERROR(status_);
  const std::string record = Record(event.SerializeAsString());
  ssize_t written = -1;
  do {
    written = write(descriptor_, record.data(), record.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    status_ = data::ErrnoStatus(errno, "write", path_);
  } else if (static_cast<size_t>(written) < record.size()) {
    status_ = data::ErrnoStatus(ENOSPC, "write", path_);
  }
  return status_;
}

}  // namespace retort::pipelines
