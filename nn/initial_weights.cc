#include "retort/nn/initial_weights.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"

namespace retort::nn {
namespace {

// Verified, and hashed once.
absl::StatusOr<std::string> Digest(const data::WeightFile& file) {
  RETORT_RETURN_IF_ERROR(file.Verify());
  const auto own = file.metadata().find("retort.sha256");
  if (own != file.metadata().end()) return own->second;
  data::Sha256 hash;
  file.storage().Read(file.storage().bytes(), [&hash](absl::Span<const uint8_t> piece) { hash.Update(piece); });
  return hash.HexDigest();
}

}  // namespace

absl::StatusOr<std::string> InitialWeightsDigest(const config::InitialWeights& config) {
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(config.path(), config.state_dict()));
  return Digest(file);
}

absl::StatusOr<LoadReport> LoadInitialWeights(const config::InitialWeights& config, absl::string_view digest,
                                              Model* model) {
  LoadOptions options;
  options.allow_missing = {config.allow_missing().begin(), config.allow_missing().end()};
  options.allow_unexpected = {config.allow_unexpected().begin(), config.allow_unexpected().end()};
  options.allow_mismatched = {config.allow_mismatched().begin(), config.allow_mismatched().end()};
  RETORT_ASSIGN_OR_RETURN(options.key_map, KeyMap::Create(config.key_map(), config.rename()));
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(config.path(), config.state_dict()));
  if (digest.empty()) return LoadModel(file, model, options);
  RETORT_ASSIGN_OR_RETURN(const std::string found, Digest(file));
  if (found != digest) {
    return absl::DataLossError(
        absl::StrCat(file.path(), " was changed after the plan was made; run the command again"));
  }
  return LoadVerifiedModel(file, model, options);
}

}  // namespace retort::nn
