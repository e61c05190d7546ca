#include "retort/pipelines/program/user_paths.h"

#include "retort/data/sources/data_dir.h"
#include "retort/pipelines/program/command_line.h"
#include "retort/pipelines/store/artifact_store.h"

namespace retort::pipelines {
namespace {

// The first that is not empty of what a user wrote, or `fallback`.
std::string ChooseFolder(const std::string& flag, const std::string& config, const std::string& fallback) {
  if (!flag.empty()) return ResolveUserPath(flag);
  return ResolveUserPath(config.empty() ? fallback : config);
}

}  // namespace

std::string StoreFolder(const std::string& flag, const config::Pipeline& pipeline) {
  return ChooseFolder(flag, pipeline.deployment().store(), DefaultStoreRoot());
}

std::string DataFolder(const std::string& flag, const config::Pipeline& pipeline) {
  return ChooseFolder(flag, pipeline.deployment().data_dir(), data::DefaultDataDir());
}

void ResolvePaths(config::Pipeline* pipeline) {
  config::Deployment* const deployment = pipeline->mutable_deployment();
  if (deployment->has_tensorboard()) deployment->set_tensorboard(ResolveUserPath(deployment->tensorboard()));
  const auto resolve = [](config::InitialWeights* weights) { weights->set_path(ResolveUserPath(weights->path())); };
  for (config::Stage& stage : *pipeline->mutable_stage()) {
    if (stage.finetune().has_initial_weights()) resolve(stage.mutable_finetune()->mutable_initial_weights());
    if (stage.distill().has_initial_weights()) resolve(stage.mutable_distill()->mutable_initial_weights());
  }
}

}  // namespace retort::pipelines
