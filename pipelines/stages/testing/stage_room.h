// Everything that a stage reads, made up: for tests of one stage without those before it.
#pragma once

#include <cstdint>
#include <string>

#include "retort/pipelines/pipeline.pb.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines::testing {

constexpr int64_t kImages = 20;  // in training and test split alike, 8x8x3 noise of 2 classes in turn

class StageRoom {
 public:
  // `pipeline` in text format; its stage "teacher" is a finetune one, whose model gets random weights.
  explicit StageRoom(const std::string& pipeline);

  // Of stage number `stage`, with the inputs "data" and "teacher" and a work folder of its own.
  StageContext Context(int stage) const;

  // What `context`'s stage made in its work folder.
  static StoredArtifact ArtifactOf(const StageContext& context, const StageOutput& output);

 private:
  config::Pipeline pipeline_;
  StoredArtifact data_, teacher_;
};

}  // namespace retort::pipelines::testing
