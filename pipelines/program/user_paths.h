// Where the paths of a user's config and command line lead.
#pragma once

#include <string>

#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {

// The folder of finished artifacts: `flag` where it is not empty, else the config's, else DefaultStoreRoot().
std::string StoreFolder(const std::string& flag, const config::Pipeline& pipeline);

// The folder of data sets: `flag` where it is not empty, else the config's, else data::DefaultDataDir().
std::string DataFolder(const std::string& flag, const config::Pipeline& pipeline);

// Makes the config's relative paths of initial weights and of TensorBoard's folder start where the user was.
void ResolvePaths(config::Pipeline* pipeline);

}  // namespace retort::pipelines
