#include "retort/pipelines/stages/teachers.h"

#include <utility>

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/stages/inputs.h"

namespace retort::pipelines {

absl::StatusOr<std::vector<LoadedTeacher>> LoadTeachers(const StageContext& context) {
  std::vector<LoadedTeacher> teachers;
  for (const StageInput* input : context.Inputs("teacher")) {
    RETORT_ASSIGN_OR_RETURN(TrainedModel trained, LoadTrainedModel(input->artifact, ChannelsLast(context)));
    teachers.push_back({std::move(trained), absl::nullopt});
  }
  return teachers;
}

absl::StatusOr<std::unique_ptr<kd::Teacher>> RunTeachers(const StageContext& context, const data::Dataset* dataset,
                                                         std::vector<LoadedTeacher> teachers,
                                                         absl::Span<const double> weights) {
  std::vector<kd::EnsembleTeacher::Member> members;
  for (LoadedTeacher& teacher : teachers) {
    std::unique_ptr<const data::Batcher> own;
    if (teacher.own.has_value()) {
      RETORT_ASSIGN_OR_RETURN(data::Batcher batcher,
                              MakeBatcher(context, dataset, *teacher.own, teacher.trained.normalization));
      own = std::make_unique<const data::Batcher>(std::move(batcher));
    }
    const double weight = weights.empty() ? 1 : weights[members.size()];
    members.push_back({std::make_unique<kd::LiveTeacher>(std::move(teacher.trained.model), std::move(own)), weight});
  }
  if (members.size() == 1) return std::move(members[0].teacher);
  return std::make_unique<kd::EnsembleTeacher>(std::move(members));
}

}  // namespace retort::pipelines
