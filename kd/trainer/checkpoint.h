// The state of an unfinished training on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "retort/nn/model.h"

namespace retort::kd {

// The two newest checkpoints of one training: files "checkpoint-<position>.safetensors" in a folder of its own. A file
// holds the training's named tensors and its identity, all of it under one SHA-256.
//
//   Checkpoints checkpoints(folder, identity, warn);
//   RETORT_ASSIGN_OR_RETURN(bool resumed, checkpoints.Load(tensors));
//   ...
//   RETORT_RETURN_IF_ERROR(checkpoints.Save(steps_done, tensors));
class Checkpoints {
 public:
  // `identity` is the text of everything that decides the training's result. `warn` hears of every damaged checkpoint.
  Checkpoints(std::string folder, std::string identity, std::function<void(const std::string&)> warn);

  // Copies the newest sound checkpoint into `tensors`: true; or leaves them as they are if there is none: false. A
  // damaged one is passed over and deleted by the next Save. FailedPrecondition if a sound one is of another identity,
  // InvalidArgument if it holds other tensors.
  absl::StatusOr<bool> Load(absl::Span<const nn::NamedTensor> tensors);

  // Writes a checkpoint, reads it back, and only then deletes all but it and the sound one before it. `position` counts
  // the steps done; nothing is written if it is that of the last Load or Save. ResourceExhausted (disk full) and other
  // errors of data/io/file.h leave the older checkpoints as they were.
  absl::Status Save(int64_t position, absl::Span<const nn::NamedTensor> tensors);

 private:
  std::string folder_;
  std::string identity_;
  std::function<void(const std::string&)> warn_;
  int64_t newest_ = -1;  // position of the newest checkpoint that is known to be sound
};

}  // namespace retort::kd
