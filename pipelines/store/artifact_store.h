// Finished results, found by what they were made from.
//
//   <root>/<kind>/<first 16 digits of key>/   artifact.textproto, key.txt, payload
//   <root>/<kind>/.new-<16 digits>/           an artifact that is being put together
//   <root>/<kind>/.old-<16 digits>/           an artifact that is being removed
//   <root>/work/<kind>-<16 digits>/           checkpoints of a stage that is not finished
//   <root>/work/<kind>-<16 digits>.lock       held while a process works on the key, or removes something of it
//
// key = SHA-256 of key.txt, the canonical text of everything that decides the result. Two keys with the same first 16
// digits take turns: each finds the other's artifact damaged and replaces it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "retort/pipelines/store/artifact.pb.h"

namespace retort::pipelines {

// A verified artifact.
struct StoredArtifact {
  std::string folder;  // absolute
  config::Artifact manifest;

  std::string File(absl::string_view name) const;
  // NotFound lists the metrics there are.
  absl::StatusOr<double> Metric(absl::string_view name) const;
};

// The right to work on one key, held by one process at a time, or shared (flock, so it ends with the process).
class WorkFolder {
 public:
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  // Survives a crash, so that a later run finds its checkpoints here.
  const std::string& path() const { return path_; }

 private:
  friend class ArtifactStore;
  WorkFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_;  // descriptor of path_ + ".lock"
};

// $RETORT_STORE, or else .cache/retort in the home folder.
std::string DefaultStoreRoot();

class ArtifactStore {
 public:
  // Makes the folder if need be. PermissionDenied, ResourceExhausted as in data/io/file.h. A store that may not be
  // written can be opened and read.
  static absl::StatusOr<ArtifactStore> Open(const std::string& root);

  const std::string& root() const { return root_; }

  // NotFound: a miss. DataLoss: there, but a file is missing, of another length or hash, or the key text differs; the
  // caller says so, treats it as a miss, and Publish replaces it.
  absl::StatusOr<StoredArtifact> Find(absl::string_view kind, absl::string_view key) const;

  // Unavailable if another process works on the same key (names its pid). PermissionDenied where the store may not be
  // written.
  absl::StatusOr<std::unique_ptr<WorkFolder>> Work(absl::string_view kind, absl::string_view key) const;

  // The same for work that several processes share, each writing files that no other writes. They must not publish with
  // it: Work() is to be had when all have let go. Waits while a process has the key for itself; Cancelled if stopped.
  absl::StatusOr<std::unique_ptr<WorkFolder>> WorkTogether(absl::string_view kind, absl::string_view key,
                                                           const std::function<bool()>& stop_requested) const;

  // Waits until Work() is to be had; Cancelled if stopped.
  absl::StatusOr<std::unique_ptr<WorkFolder>> WaitForWork(absl::string_view kind, absl::string_view key,
                                                          const std::function<bool()>& stop_requested) const;

  // Brings the files of a damaged artifact back into its work folder, sound or not, for a stage that looks at each and
  // makes again only what is damaged. Files that are in the work folder stay.
  absl::Status Salvage(absl::string_view kind, absl::string_view key, const WorkFolder& work) const;

  // Publishes `files` (names in `work`, moved from there) as one artifact: staged beside its place, hashed, flushed,
  // renamed into place; readers see all or nothing. Fills manifest.key and manifest.file. The work folder is removed
  // afterwards. Publishing an artifact that is already there and sound keeps the old one. After an error the files are
  // still in the work folder, and what was in the store before is still there.
  absl::StatusOr<StoredArtifact> Publish(std::unique_ptr<WorkFolder> work, absl::string_view key_text,
                                         const std::vector<std::string>& files, config::Artifact manifest) const;

  // Every artifact folder in order of kind and key, sound or not; error text where it is not. Files are hashed only
  // with `verify`. For tools.
  struct Entry {
    std::string kind;
    std::string digits;  // the first 16 of the key
    std::string folder;
    absl::Time made;
    absl::StatusOr<StoredArtifact> artifact;
  };
  absl::StatusOr<std::vector<Entry>> List(bool verify) const;

  // What processes left behind that ended too early: work folders, and artifact folders that were being made or
  // removed. Some may be in use right now. For tools.
  struct Leftover {
    std::string kind;
    std::string digits;
    std::string folder;
    absl::Time changed;
  };
  absl::StatusOr<std::vector<Leftover>> Leftovers() const;

  // Both are Unavailable while a process works on the key. A process that has opened the artifact's files can read on.
  absl::Status Remove(const Entry& entry) const;
  absl::Status Remove(const Leftover& leftover) const;

 private:
  explicit ArtifactStore(std::string root) : root_(std::move(root)) {}

  absl::StatusOr<int> Lock(absl::string_view kind, absl::string_view digits) const;
  void Unlock(absl::string_view kind, absl::string_view digits, int lock) const;

  std::string root_;
};

}  // namespace retort::pipelines
