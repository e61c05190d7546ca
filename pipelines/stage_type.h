// The kinds of stages. To add one: a message and a line in pipelines/pipeline.proto, pipelines/stages/x.{h,cc} and a
// test, one case in stage_type.cc, lines in the BUILD files.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

// How a kind of stage enters its key, and how it runs.
struct StageType {
  // Raised whenever the same inputs give another result.
  int version;
  // Draws from the pipeline's seed.
  bool seeded;
  // Computes in floating point, so that Numerics matters.
  bool numeric;
  // Makes its files one by one, each by itself: what it finds sound in its work folder stays, and several processes may
  // work in it.
  bool shared;
  absl::StatusOr<StageOutput> (*run)(const StageContext& context);
};

// Exhaustive over the kinds of pipelines/pipeline.proto.
StageType TypeOf(config::Stage::KindCase kind);

}  // namespace retort::pipelines
