// Finished results, found by what they were made from.
//
//   <root>/<kind>/<first 16 digits of key>/   artifact.textproto, key.txt, payload
//   <root>/work/<kind>-<first 16 digits>/     checkpoints of a stage that is not finished; lock
//
// key = SHA-256 of key.txt, the canonical text of everything that decides the result.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/pipelines/artifact.pb.h"

namespace retort::pipelines {

// A verified artifact.
struct StoredArtifact {
  std::string folder;  // absolute
  config::Artifact manifest;

  std::string File(absl::string_view name) const;
  // NotFound lists the metrics there are.
  absl::StatusOr<double> Metric(absl::string_view name) const;
};

// The right to work on one key, held by one process at a time (flock, so it ends with the process).
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
  int lock_;
};

class ArtifactStore {
 public:
  // Makes the folder if need be. PermissionDenied, ResourceExhausted as in data/io/file.h.
  static absl::StatusOr<ArtifactStore> Open(const std::string& root);

  const std::string& root() const { return root_; }

  // NotFound: a miss. DataLoss: there, but a file is missing, of another length or hash, or the key text differs; the caller
  // says so, treats it as a miss, and Publish replaces it.
  absl::StatusOr<StoredArtifact> Find(absl::string_view kind, absl::string_view key) const;

  // Unavailable if another process works on the same key (names its pid).
  absl::StatusOr<std::unique_ptr<WorkFolder>> Work(absl::string_view kind, absl::string_view key) const;

  // Publishes `files` (names in `work`, moved from there) as one artifact: staged beside its place, hashed, flushed, renamed
  // into place; readers see all or nothing. Fills manifest.key and manifest.file. The work folder is removed afterwards.
  // Publishing an artifact that is already there and sound keeps the old one.
  absl::StatusOr<StoredArtifact> Publish(std::unique_ptr<WorkFolder> work, absl::string_view key_text,
                                         const std::vector<std::string>& files, config::Artifact manifest) const;

  // Every artifact folder, sound or not; error text where it is not. For tools.
  struct Entry {
    std::string kind;
    std::string folder;
    absl::StatusOr<StoredArtifact> artifact;
  };
  absl::StatusOr<std::vector<Entry>> List(bool verify) const;

 private:
  explicit ArtifactStore(std::string root) : root_(std::move(root)) {}

  std::string root_;
};

}  // namespace retort::pipelines
