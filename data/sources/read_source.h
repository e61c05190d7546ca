// Data sets where they come from, before they are artifacts.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "retort/data/dataset.h"
#include "retort/data/dataset.pb.h"

namespace retort::data {

// Reads the official files, or generates the images. Errors as in cifar.h.
absl::StatusOr<DatasetSplits> ReadSource(const config::Ingest& ingest, const std::string& data_dir);

// A digest of the files that ReadSource would read; empty for a generated set, which is a function of its config.
absl::StatusOr<std::string> SourceDigest(const config::Ingest& ingest, const std::string& data_dir);

}  // namespace retort::data
