#include "retort/kd/trainer/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/weights.h"

namespace retort::kd {
namespace {

constexpr char kIdentity[] = "identity";

std::string FileName(int64_t position) { return absl::StrFormat("checkpoint-%012d.safetensors", position); }

absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return data::ErrnoStatus(error.value(), "list folder", folder);
  }
  return names;
}

// The position in a checkpoint's file name; -1 for other files.
int64_t PositionOf(absl::string_view name) {
  int64_t position;
  absl::string_view digits = name;
  if (!absl::ConsumePrefix(&digits, "checkpoint-") || !absl::ConsumeSuffix(&digits, ".safetensors") ||
      !absl::SimpleAtoi(digits, &position) || FileName(position) != name) {
    return -1;
  }
  return position;
}

// Opens a checkpoint whose every byte is as it was written.
absl::StatusOr<data::SafetensorsFile> OpenSound(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(data::SafetensorsFile file, data::SafetensorsFile::Open(path));
  RETORT_RETURN_IF_ERROR(file.VerifyOwn());
  return file;
}

}  // namespace

Checkpoints::Checkpoints(std::string folder, std::string identity, std::function<void(const std::string&)> warn)
    : folder_(std::move(folder)), identity_(std::move(identity)), warn_(std::move(warn)) {}

absl::StatusOr<bool> Checkpoints::Load(absl::Span<const nn::NamedTensor> tensors) {
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  std::vector<int64_t> positions;
  for (const std::string& name : names) {
    if (const int64_t position = PositionOf(name); position >= 0) positions.push_back(position);
  }
  std::sort(positions.rbegin(), positions.rend());

  for (const int64_t position : positions) {
    const std::string path = absl::StrCat(folder_, "/", FileName(position));
    const auto file = OpenSound(path);
    if (absl::IsDataLoss(file.status())) {
      if (warn_) warn_(absl::StrCat("damaged checkpoint passed over: ", file.status().message()));
      continue;
    }
    RETORT_RETURN_IF_ERROR(file.status());
    const auto identity = file->metadata().find(kIdentity);
    if (identity == file->metadata().end() || identity->second != identity_) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is a checkpoint of another training; delete the folder or choose another one"));
    }
    RETORT_RETURN_IF_ERROR(nn::LoadTensors(data::WeightFile(*file), tensors).status());
    newest_ = position;
    return true;
  }
  return false;
}

absl::Status Checkpoints::Save(int64_t position, absl::Span<const nn::NamedTensor> tensors) {
  if (position == newest_) return absl::OkStatus();
  RETORT_RETURN_IF_ERROR(data::MakeDirectories(folder_));
  const std::string path = absl::StrCat(folder_, "/", FileName(position));
  RETORT_RETURN_IF_ERROR(nn::SaveTensors(path, tensors, {{kIdentity, identity_}}));
  RETORT_RETURN_IF_ERROR(OpenSound(path).status());

  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  for (const std::string& name : names) {
    const int64_t other = PositionOf(name);
    // A process that was killed while it wrote leaves a temporary file (data/io/file.h).
    const bool temporary = absl::StartsWith(name, ".retort-") && absl::EndsWith(name, ".tmp");
    if (!temporary && (other < 0 || other == position || other == newest_)) continue;
    std::error_code error;
    std::filesystem::remove(absl::StrCat(folder_, "/", name), error);
    if (error) return data::ErrnoStatus(error.value(), "delete", absl::StrCat(folder_, "/", name));
  }
  newest_ = position;
  return absl::OkStatus();
}

}  // namespace retort::kd
