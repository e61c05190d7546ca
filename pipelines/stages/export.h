// Writes a trained model for others: model.safetensors, model.onnx. Both carry what payload/model_metadata.h lists, and
//
//   retort.dataset       "cifar10"
//   retort.accuracy      on the test split, of the training's own measurement
//   retort.config_hash   key of the artifact of the training
//
// Of what an objective learned besides, the projector of sim_kd alone is written: payload/projector.h.
//
// Metrics: accuracy, parameters.
#pragma once

#include "absl/status/statusor.h"

#include "retort/pipelines/stage.h"

namespace retort::pipelines {

absl::StatusOr<StageOutput> RunExport(const StageContext& context);

}  // namespace retort::pipelines
