#include "retort/nn/initial_weights.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "retort/data/io/sha256.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"

namespace retort::nn {

absl::StatusOr<std::string> InitialWeightsDigest(const config::InitialWeights& config) {
  return data::Sha256File(config.path());
}

absl::StatusOr<LoadReport> LoadInitialWeights(const config::InitialWeights& config, absl::string_view digest,
                                              Model* model) {
  LoadOptions options;
  options.allow_missing = {config.allow_missing().begin(), config.allow_missing().end()};
  options.allow_unexpected = {config.allow_unexpected().begin(), config.allow_unexpected().end()};
  options.allow_mismatched = {config.allow_mismatched().begin(), config.allow_mismatched().end()};
  RETORT_ASSIGN_OR_RETURN(options.key_map, KeyMap::Create(config.key_map(), config.rename()));
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(config.path(), config.state_dict()));
  if (!digest.empty()) {
    data::Sha256 hash;
    hash.Update(file.storage().bytes());
    file.storage().Release(file.storage().bytes());
    if (hash.HexDigest() != digest) {
      return absl::DataLossError(
          absl::StrCat(file.path(), " was changed after the plan was made; run the command again"));
    }
  }
  return LoadModel(file, model, options);
}

}  // namespace retort::nn
