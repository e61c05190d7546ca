// Teachers that run: the inputs "teacher" of a stage, one or several as one.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/teacher.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines {

// A teacher, and the views that it sees instead of the images of a batch.
struct LoadedTeacher {
  TrainedModel trained;
  absl::optional<data::ViewPlan> own;
};

absl::StatusOr<std::vector<LoadedTeacher>> LoadTeachers(const StageContext& context);

// Runs `teachers`, each on images of its own normalisation; several give the mean of their probabilities, by `weights`
// or, where there are none, equally. `dataset` must outlive the result.
absl::StatusOr<std::unique_ptr<kd::Teacher>> RunTeachers(const StageContext& context, const data::Dataset* dataset,
                                                         std::vector<LoadedTeacher> teachers,
                                                         absl::Span<const double> weights);

}  // namespace retort::pipelines
