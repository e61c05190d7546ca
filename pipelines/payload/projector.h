// What a student that was trained by sim_kd is not complete without.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "retort/kd/objective.h"
#include "retort/pipelines/store/artifact.pb.h"

namespace retort::pipelines {

inline constexpr char kProjectorFile[] = "projector.safetensors";

// Writes projector.safetensors into `folder` where `config` has a sim_kd term, and says whether it has: parameters and
// running statistics of P (kd/terms/sim_kd.h), "sim_kd.first.weight" and so on. Metadata: sim_kd.student_tap, which P
// reads, and sim_kd.teacher_tap, which it stands for. The student then answers with the teacher's classifier on the
// mean over places of P(tap), P by its running statistics.
absl::StatusOr<bool> SaveProjector(const std::string& folder, const config::Objective& config,
                                   const kd::Objective& objective);

bool HasProjector(const config::Artifact& manifest);

}  // namespace retort::pipelines
