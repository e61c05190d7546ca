#include "retort/pipelines/store/artifact_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "retort/data/io/file.h"
#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"

namespace retort::pipelines {
namespace {

constexpr char kManifest[] = "artifact.textproto";
constexpr char kKeyText[] = "key.txt";
constexpr char kWork[] = "work";
constexpr char kNew[] = ".new-";
constexpr char kOld[] = ".old-";
constexpr char kLock[] = ".lock";
constexpr char kHashLine[] = "# sha256 ";
constexpr int32_t kFormat = 1;
constexpr size_t kDigits = 16;
// Between two looks at a lock.
constexpr absl::Duration kPatience = absl::Milliseconds(20);

bool IsHex(absl::string_view text, size_t size) {
  return text.size() == size &&
         absl::c_all_of(text, [](char c) { return absl::ascii_isxdigit(c) && !absl::ascii_isupper(c); });
}

bool IsKind(absl::string_view kind) {
  return !kind.empty() && kind != kWork &&
         absl::c_all_of(kind, [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_'; });
}

// A name within a folder, and none of the store's own.
bool IsPayloadName(absl::string_view name) {
  return !name.empty() && name[0] != '.' && !absl::StrContains(name, '/') && name != kManifest && name != kKeyText;
}

absl::Status CheckKindAndKey(absl::string_view kind, absl::string_view key) {
  if (!IsKind(kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", kind, "\" is no kind of artifact; permitted: a-z, 0-9 and _, but not \"work\""));
  }
  if (!IsHex(key, 64))
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no key; permitted: 64 digits 0-9, a-f"));
  return absl::OkStatus();
}

absl::Status ForWriting(absl::Status status, absl::string_view root) {
  if (!absl::IsPermissionDenied(status)) return status;
  return absl::PermissionDeniedError(
      absl::StrCat(status.message(), "; the store ", root,
                   " may not be written: change its permissions, or name another folder with --store"));
}

bool Exists(const std::string& path) {
  struct stat facts;
  return lstat(path.c_str(), &facts) == 0;
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return data::ErrnoStatus(errno, absl::StrCat("rename ", from, " to"), to);
}

// Removes a folder and all within it; follows no link. OK where there is none.
absl::Status RemoveTree(const std::string& path) {
  if (!Exists(path)) return absl::OkStatus();
  constexpr int kOpenFolders = 16;
  const auto remove_one = [](const char* name, const struct stat*, int, struct FTW*) { return remove(name); };
  if (nftw(path.c_str(), remove_one, kOpenFolders, FTW_DEPTH | FTW_PHYS) == 0) return absl::OkStatus();
  return data::ErrnoStatus(errno, "remove", path);
}

// Names in a folder, sorted; none where there is no folder.
absl::StatusOr<std::vector<std::string>> Names(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = opendir(path.c_str());
  if (folder == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return names;
    return data::ErrnoStatus(errno, "open folder", path);
  }
  const absl::Cleanup closer = [folder] { closedir(folder); };
  while (true) {
    errno = 0;
    const struct dirent* entry = readdir(folder);
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return data::ErrnoStatus(errno, "read folder", path);
  absl::c_sort(names);
  return names;
}

// Size of a regular file; DataLoss where it is anything else.
absl::StatusOr<int64_t> FileSize(const std::string& path) {
  struct stat facts;
  if (lstat(path.c_str(), &facts) != 0) return data::ErrnoStatus(errno, "stat", path);
  if (!S_ISREG(facts.st_mode)) return absl::DataLossError(absl::StrCat(path, " is not a regular file"));
  return static_cast<int64_t>(facts.st_size);
}

absl::Status Flush(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return data::ErrnoStatus(errno, "open", path);
  const absl::Cleanup closer = [descriptor] { close(descriptor); };
  if (fsync(descriptor) != 0) return data::ErrnoStatus(errno, "flush", path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  constexpr int64_t kMostBytes = 16 << 20;
  RETORT_ASSIGN_OR_RETURN(const int64_t size, FileSize(path));
  if (size > kMostBytes)
    return absl::DataLossError(absl::StrCat(path, " has ", size, " bytes; permitted: ", kMostBytes));
  return data::ReadFile(path);
}

std::string ManifestText(const config::Artifact& manifest) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(manifest, &text);
  return absl::StrCat(text, kHashLine, data::Sha256Hex(text), "\n");
}

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& what) override {
    if (text.empty()) text = absl::StrCat(line + 1, ":", column + 1, ": ", what);
  }
  std::string text;
};

absl::StatusOr<config::Artifact> ReadManifest(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  const size_t end = text.rfind(kHashLine);
  if (end == std::string::npos ||
      text.substr(end) != absl::StrCat(kHashLine, data::Sha256Hex(text.substr(0, end)), "\n")) {
    return absl::DataLossError(
        absl::StrCat(path, " is damaged: the SHA-256 in its last line is not that of the lines before"));
  }
  config::Artifact manifest;
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &manifest)) {
    return absl::DataLossError(absl::StrCat(path, ":", error.text, "; it may be of a newer version of Retort"));
  }
  if (manifest.format() != kFormat) {
    return absl::DataLossError(absl::StrCat(path, " has format ", manifest.format(), "; permitted: ", kFormat));
  }
  return manifest;
}

absl::StatusOr<StoredArtifact> Verify(const std::string& folder, absl::string_view kind, absl::string_view digits,
                                      bool hash_files) {
  StoredArtifact artifact;
  artifact.folder = folder;
  RETORT_ASSIGN_OR_RETURN(artifact.manifest, ReadManifest(absl::StrCat(folder, "/", kManifest)));
  const config::Artifact& manifest = artifact.manifest;
  if (manifest.kind() != kind || !IsHex(manifest.key(), 64) || !absl::StartsWith(manifest.key(), digits)) {
    return absl::DataLossError(absl::StrCat(folder, " holds the ", manifest.kind(), " artifact ", manifest.key()));
  }
  const std::string key_path = absl::StrCat(folder, "/", kKeyText);
  RETORT_ASSIGN_OR_RETURN(const std::string key_text, ReadText(key_path));
  if (data::Sha256Hex(key_text) != manifest.key()) {
    return absl::DataLossError(absl::StrCat(key_path, " is damaged: its SHA-256 is not the key ", manifest.key()));
  }
  for (const config::Artifact::File& file : manifest.file()) {
    if (!IsPayloadName(file.name()))
      return absl::DataLossError(absl::StrCat(folder, " lists the file \"", file.name(), "\""));
    const std::string path = artifact.File(file.name());
    RETORT_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
    if (bytes != file.bytes()) {
      return absl::DataLossError(
          absl::StrCat(path, " is damaged: ", bytes, " bytes, but ", file.bytes(), " were written"));
    }
    if (!hash_files) continue;
    RETORT_ASSIGN_OR_RETURN(const std::string hash, data::Sha256File(path));
    if (hash != file.sha256()) {
      return absl::DataLossError(
          absl::StrCat(path, " is damaged: SHA-256 ", hash, ", but ", file.sha256(), " was written"));
    }
  }
  return artifact;
}

// Verify, where all that cannot be read counts as damage unless it may not be read.
absl::StatusOr<StoredArtifact> VerifyFound(const std::string& folder, absl::string_view kind, absl::string_view digits,
                                           bool hash_files) {
  absl::StatusOr<StoredArtifact> artifact = Verify(folder, kind, digits, hash_files);
  if (artifact.ok() || absl::IsPermissionDenied(artifact.status())) return artifact;
  return absl::DataLossError(artifact.status().message());
}

absl::Time Changed(const std::string& path) {
  struct stat facts;
  return lstat(path.c_str(), &facts) == 0 ? absl::TimeFromTimespec(facts.st_mtim) : absl::InfiniteFuture();
}

// Where things of one key are.
struct Places {
  Places(const std::string& root, absl::string_view kind, absl::string_view key)
      : digits(key.substr(0, kDigits)),
        shelf(absl::StrCat(root, "/", kind)),
        artifact(absl::StrCat(shelf, "/", digits)),
        fresh(absl::StrCat(shelf, "/", kNew, digits)),
        old(absl::StrCat(shelf, "/", kOld, digits)),
        work(absl::StrCat(root, "/", kWork, "/", kind, "-", digits)) {}

  std::string digits;
  std::string shelf;  // the folder of the kind
  std::string artifact;
  std::string fresh;
  std::string old;
  std::string work;
};

}  // namespace

std::string StoredArtifact::File(absl::string_view name) const { return absl::StrCat(folder, "/", name); }

absl::StatusOr<double> StoredArtifact::Metric(absl::string_view name) const {
  std::vector<std::string> names;
  for (const config::Artifact::Metric& metric : manifest.metric()) {
    if (metric.name() == name) return metric.value();
    names.push_back(metric.name());
  }
  return absl::NotFoundError(
      absl::StrCat(folder, " has no metric \"", name, "\"; it has: ", absl::StrJoin(names, ", ")));
}

WorkFolder::~WorkFolder() {
  // An empty folder is of no use to a later run, unless another process is at work in it. The lock's file goes first
  // where its folder goes: see ArtifactStore::Lock.
  const bool alone = flock(lock_, LOCK_EX | LOCK_NB) == 0;
  if (alone && (rmdir(path_.c_str()) == 0 || errno == ENOENT)) unlink(absl::StrCat(path_, kLock).c_str());
  close(lock_);
}

std::string DefaultStoreRoot() {
  const char* store = getenv("RETORT_STORE");
  if (store != nullptr && *store != '\0') return store;
  const char* home = getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.cache/retort");
}

absl::StatusOr<ArtifactStore> ArtifactStore::Open(const std::string& root) {
  if (root.empty()) return absl::InvalidArgumentError("the store needs a folder; name one with --store");
  RETORT_RETURN_IF_ERROR(ForWriting(data::MakeDirectories(root), root));
  char* absolute = realpath(root.c_str(), nullptr);
  if (absolute == nullptr) return data::ErrnoStatus(errno, "find", root);
  const absl::Cleanup freer = [absolute] { free(absolute); };
  return ArtifactStore(absolute);
}

absl::StatusOr<StoredArtifact> ArtifactStore::Find(absl::string_view kind, absl::string_view key) const {
  RETORT_RETURN_IF_ERROR(CheckKindAndKey(kind, key));
  const Places places(root_, kind, key);
  if (!Exists(places.artifact)) {
    return absl::NotFoundError(absl::StrCat("no ", kind, " artifact ", places.digits, " in ", root_));
  }
  RETORT_ASSIGN_OR_RETURN(StoredArtifact artifact,
                          VerifyFound(places.artifact, kind, places.digits, /*hash_files=*/true));
  if (artifact.manifest.key() != key) {
    return absl::DataLossError(
        absl::StrCat(places.artifact, " holds the artifact of another key, ", artifact.manifest.key()));
  }
  return artifact;
}

absl::StatusOr<int> ArtifactStore::Lock(absl::string_view kind, absl::string_view digits) const {
  RETORT_RETURN_IF_ERROR(ForWriting(data::MakeDirectories(absl::StrCat(root_, "/", kWork)), root_));
  const std::string path = Places(root_, kind, digits).work + kLock;
  while (true) {
    const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) return ForWriting(data::ErrnoStatus(errno, "open", path), root_);
    absl::Cleanup closer = [lock] { close(lock); };
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return data::ErrnoStatus(errno, "lock", path);
      const absl::StatusOr<std::string> holder = data::ReadFile(path);
      if (absl::IsNotFound(holder.status())) continue;  // Its holder has just let go.
      RETORT_RETURN_IF_ERROR(holder.status());
      const std::pair<std::string, std::string> key_and_pid =
          absl::StrSplit(holder->substr(0, holder->find('\n')), ' ');
      return absl::UnavailableError(absl::StrCat("process ", key_and_pid.second, " works on ", kind, " ", digits, " (",
                                                 path, "); wait for it, or end it"));
    }
    // The one who held the lock may have removed its file: then another may have made and locked a new one.
    struct stat locked, there;
    if (fstat(lock, &locked) != 0 || stat(path.c_str(), &there) != 0 || locked.st_ino != there.st_ino) continue;
    std::move(closer).Cancel();
    return lock;
  }
}

void ArtifactStore::Unlock(absl::string_view kind, absl::string_view digits, int lock) const {
  const Places places(root_, kind, digits);
  if (!Exists(places.work)) unlink(absl::StrCat(places.work, kLock).c_str());
  close(lock);
}

absl::StatusOr<std::unique_ptr<WorkFolder>> ArtifactStore::Work(absl::string_view kind, absl::string_view key) const {
  RETORT_RETURN_IF_ERROR(CheckKindAndKey(kind, key));
  const Places places(root_, kind, key);
  RETORT_ASSIGN_OR_RETURN(const int lock, Lock(kind, places.digits));
  std::unique_ptr<WorkFolder> work(new WorkFolder(places.work, lock));

  // The lock's file says whose checkpoints these are, "key pid". It is overwritten in place, which needs no space on
  // the disk.
  const std::string lock_path = places.work + kLock;
  RETORT_ASSIGN_OR_RETURN(const std::string last, data::ReadFile(lock_path));
  if (!absl::StartsWith(last, absl::StrCat(key, " "))) RETORT_RETURN_IF_ERROR(RemoveTree(places.work));
  const std::string holder = absl::StrCat(key, " ", getpid(), "\n");
  if (pwrite(lock, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size()) ||
      ftruncate(lock, static_cast<off_t>(holder.size())) != 0) {
    return data::ErrnoStatus(errno, "write", lock_path);
  }
  // Of a process that was killed while it published.
  RETORT_RETURN_IF_ERROR(RemoveTree(places.fresh));
  RETORT_RETURN_IF_ERROR(RemoveTree(places.old));
  RETORT_RETURN_IF_ERROR(ForWriting(data::MakeDirectories(places.work), root_));
  return work;
}

absl::StatusOr<std::unique_ptr<WorkFolder>> ArtifactStore::WorkTogether(
    absl::string_view kind, absl::string_view key, const std::function<bool()>& stop_requested) const {
  while (true) {
    absl::StatusOr<std::unique_ptr<WorkFolder>> work = Work(kind, key);
    if (work.ok()) {
      // Between the two locks another process may take the key for itself.
      if (flock((*work)->lock_, LOCK_SH | LOCK_NB) == 0) return work;
    } else if (!absl::IsUnavailable(work.status())) {
      return work.status();
    } else {
      const Places places(root_, kind, key);
      const std::string path = places.work + kLock;
      const int lock = open(path.c_str(), O_RDWR | O_CLOEXEC);
      absl::Cleanup closer = [lock] { close(lock); };
      struct stat locked, there;
      if (lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) == 0 && fstat(lock, &locked) == 0 &&
          stat(path.c_str(), &there) == 0 && locked.st_ino == there.st_ino) {
        const absl::StatusOr<std::string> holder = data::ReadFile(path);
        if (holder.ok() && absl::StartsWith(*holder, absl::StrCat(key, " ")) && Exists(places.work)) {
          std::move(closer).Cancel();
          return std::unique_ptr<WorkFolder>(new WorkFolder(places.work, lock));
        }
      }
    }
    if (stop_requested()) return absl::CancelledError("stopped");
    absl::SleepFor(kPatience);
  }
}

absl::StatusOr<std::unique_ptr<WorkFolder>> ArtifactStore::WaitForWork(
    absl::string_view kind, absl::string_view key, const std::function<bool()>& stop_requested) const {
  while (true) {
    absl::StatusOr<std::unique_ptr<WorkFolder>> work = Work(kind, key);
    if (!absl::IsUnavailable(work.status())) return work;
    if (stop_requested()) return absl::CancelledError("stopped");
    absl::SleepFor(kPatience);
  }
}

absl::Status ArtifactStore::Salvage(absl::string_view kind, absl::string_view key, const WorkFolder& work) const {
  const Places places(root_, kind, key);
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(places.artifact));
  for (const std::string& name : names) {
    if (!IsPayloadName(name)) continue;
    const std::string from = absl::StrCat(places.artifact, "/", name), to = absl::StrCat(work.path(), "/", name);
    if (link(from.c_str(), to.c_str()) != 0 && errno != EEXIST) {
      return data::ErrnoStatus(errno, absl::StrCat("link ", from, " to"), to);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredArtifact> ArtifactStore::Publish(std::unique_ptr<WorkFolder> work, absl::string_view key_text,
                                                      const std::vector<std::string>& files,
                                                      config::Artifact manifest) const {
  const std::string key = data::Sha256Hex(key_text);
  RETORT_RETURN_IF_ERROR(CheckKindAndKey(manifest.kind(), key));
  const Places places(root_, manifest.kind(), key);
  if (work->path() != places.work) {
    return absl::InvalidArgumentError(
        absl::StrCat(work->path(), " is not the work folder of ", manifest.kind(), " ", key));
  }
  if (absl::StatusOr<StoredArtifact> there = Find(manifest.kind(), key); there.ok()) {
    RemoveTree(places.work).IgnoreError();
    return there;
  }

  manifest.set_format(kFormat);
  manifest.set_key(key);
  manifest.clear_file();
  std::set<std::string> names;
  for (const std::string& name : files) {
    if (!IsPayloadName(name) || !names.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", name, "\" cannot be published: needs a name without folder, no dot at its start, each once"));
    }
    const std::string path = absl::StrCat(places.work, "/", name);
    config::Artifact::File* file = manifest.add_file();
    file->set_name(name);
    RETORT_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
    file->set_bytes(bytes);
    RETORT_ASSIGN_OR_RETURN(*file->mutable_sha256(), data::Sha256File(path));
    RETORT_RETURN_IF_ERROR(Flush(path));
  }

  RETORT_RETURN_IF_ERROR(ForWriting(data::MakeDirectories(places.shelf), root_));
  absl::Cleanup give_back = [&] {
    for (const std::string& name : files) {
      rename(absl::StrCat(places.fresh, "/", name).c_str(), absl::StrCat(places.work, "/", name).c_str());
    }
    RemoveTree(places.fresh).IgnoreError();  // the error that led here is the one to report
  };
  RETORT_RETURN_IF_ERROR(ForWriting(data::MakeDirectories(places.fresh), root_));
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(places.fresh, "/", kKeyText), key_text));
  for (const std::string& name : files) {
    RETORT_RETURN_IF_ERROR(Rename(absl::StrCat(places.work, "/", name), absl::StrCat(places.fresh, "/", name)));
  }
  // Flushes the folder too, with the names of all that was moved there.
  RETORT_RETURN_IF_ERROR(data::WriteFileAtomically(absl::StrCat(places.fresh, "/", kManifest), ManifestText(manifest)));
  if (Exists(places.artifact)) RETORT_RETURN_IF_ERROR(Rename(places.artifact, places.old));
  RETORT_RETURN_IF_ERROR(Rename(places.fresh, places.artifact));
  std::move(give_back).Cancel();
  RETORT_RETURN_IF_ERROR(data::SyncDirectory(places.shelf));
  RETORT_RETURN_IF_ERROR(data::SyncDirectory(root_));
  // The artifact is safe. What cannot be removed is left over, for Leftovers().
  RemoveTree(places.old).IgnoreError();
  RemoveTree(places.work).IgnoreError();
  return StoredArtifact{places.artifact, std::move(manifest)};
}

absl::StatusOr<std::vector<ArtifactStore::Entry>> ArtifactStore::List(bool verify) const {
  std::vector<Entry> entries;
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> kinds, Names(root_));
  for (const std::string& kind : kinds) {
    if (!IsKind(kind)) continue;
    RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(absl::StrCat(root_, "/", kind)));
    for (const std::string& name : names) {
      if (!IsHex(name, kDigits)) continue;
      const std::string folder = absl::StrCat(root_, "/", kind, "/", name);
      entries.push_back({kind, name, folder, Changed(folder), VerifyFound(folder, kind, name, verify)});
    }
  }
  return entries;
}

absl::StatusOr<std::vector<ArtifactStore::Leftover>> ArtifactStore::Leftovers() const {
  std::vector<Leftover> leftovers;
  const auto add = [&](absl::string_view kind, absl::string_view digits, const std::string& folder) {
    if (IsKind(kind) && IsHex(digits, kDigits))
      leftovers.push_back({std::string(kind), std::string(digits), folder, Changed(folder)});
  };
  RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> kinds, Names(root_));
  for (const std::string& kind : kinds) {
    const std::string shelf = absl::StrCat(root_, "/", kind);
    RETORT_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(shelf));
    for (absl::string_view name : names) {
      const std::string folder = absl::StrCat(shelf, "/", name);
      if (kind == kWork) {
        // A lock without its folder is left behind too.
        if (absl::ConsumeSuffix(&name, kLock) && Exists(absl::StrCat(shelf, "/", name))) continue;
        const std::pair<std::string, std::string> kind_and_digits = absl::StrSplit(name, absl::MaxSplits('-', 1));
        add(kind_and_digits.first, kind_and_digits.second, folder);
      } else if (absl::ConsumePrefix(&name, kNew) || absl::ConsumePrefix(&name, kOld)) {
        add(kind, name, folder);
      }
    }
  }
  return leftovers;
}

absl::Status ArtifactStore::Remove(const Entry& entry) const {
  const Places places(root_, entry.kind, entry.digits);
  RETORT_ASSIGN_OR_RETURN(const int lock, Lock(entry.kind, entry.digits));
  const absl::Cleanup unlocker = [&] { Unlock(entry.kind, entry.digits, lock); };
  RETORT_RETURN_IF_ERROR(RemoveTree(places.old));
  // First out of sight, so that no reader finds half of it.
  RETORT_RETURN_IF_ERROR(ForWriting(Rename(places.artifact, places.old), root_));
  return RemoveTree(places.old);
}

absl::Status ArtifactStore::Remove(const Leftover& leftover) const {
  RETORT_ASSIGN_OR_RETURN(const int lock, Lock(leftover.kind, leftover.digits));
  const absl::Cleanup unlocker = [&] { Unlock(leftover.kind, leftover.digits, lock); };
  if (absl::EndsWith(leftover.folder, kLock)) return absl::OkStatus();  // unlocking removes it
  return ForWriting(RemoveTree(leftover.folder), root_);
}

}  // namespace retort::pipelines
