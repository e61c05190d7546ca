#include "retort/pipelines/stages/distill.h"

#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/philox.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/teacher.h"
#include "retort/kd/trainer/trainer.h"
#include "retort/pipelines/payload/stored_targets.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/pipelines/stages/inputs.h"
#include "retort/pipelines/stages/seed.h"
#include "retort/pipelines/stages/teachers.h"
#include "retort/pipelines/stages/training_stage.h"

namespace retort::pipelines {
namespace {

using ViewsOf = std::function<at::Tensor(int64_t epoch, absl::Span<const int64_t> index)>;

// The stored views that `use` chooses among `count`.
class StoredViews {
 public:
  StoredViews(config::Distill::ViewUse use, uint64_t seed, int64_t count)
      : use_(use), seed_(DeriveSeed(seed, "view of image")), epoch_seed_(seed), count_(count) {}

  // Of `image` in `epoch`, both from 0.
  int64_t Of(int64_t epoch, int64_t image) const {
    switch (use_) {
      case config::Distill::ONE_VIEW_PER_EPOCH:
        return static_cast<int64_t>(DeriveSeed(epoch_seed_, absl::StrCat("view of epoch ", epoch)) %
                                    static_cast<uint64_t>(count_));
      case config::Distill::VIEWS_IN_TURN:
        return epoch % count_;
      case config::Distill::RANDOM_VIEW_PER_IMAGE: {
        const data::PhiloxBits bits =
            data::Philox(seed_, static_cast<uint64_t>(image), static_cast<uint32_t>(epoch), /*c=*/0);
        return static_cast<int64_t>(data::UniformInt(bits[0], static_cast<uint64_t>(count_)));
      }
      case config::Distill::ALL_VIEWS:
        break;
    }
    return 0;
  }

  // Of a step, [V,B].
  at::Tensor operator()(int64_t epoch, absl::Span<const int64_t> index) const {
    const auto images = static_cast<int64_t>(index.size());
    if (use_ == config::Distill::ALL_VIEWS) return at::arange(count_).unsqueeze(1).repeat({1, images});
    if (use_ != config::Distill::RANDOM_VIEW_PER_IMAGE) return kd::SameView(Of(epoch, /*image=*/0), index);
    at::Tensor views = at::empty({1, images}, at::kLong);
    auto* view = views.mutable_data_ptr<int64_t>();
    for (const int64_t image : index) *view++ = Of(epoch, image);
    return views;
  }

 private:
  config::Distill::ViewUse use_;
  uint64_t seed_, epoch_seed_;
  int64_t count_;
};

// Says how good a live teacher is before it is used.
absl::Status Introduce(const StageInput& teacher, const data::Dataset& dataset) {
  RETORT_ASSIGN_OR_RETURN(const double accuracy, teacher.artifact.Metric("accuracy"));
  const double chance = 1 / static_cast<double>(dataset.class_names.size());
  std::cerr << absl::StreamFormat("teacher \"%s\": test accuracy %.2f %%; in evaluation mode, without gradients\n",
                                  teacher.name, 100 * accuracy);
  if (accuracy < 2 * chance) {
    std::cerr << absl::StreamFormat("warning: that is less than twice chance, %.2f %%\n", 100 * chance);
  }
  return absl::OkStatus();
}

// Who teaches, and what the student sees meanwhile.
struct Lesson {
  std::unique_ptr<kd::Teacher> teacher;  // null without one
  data::ViewPlan plan;
  ViewsOf views_of = kd::SameView;
  bool stored_views = false;  // `plan` is of those that targets are stored of
};

absl::StatusOr<Lesson> StoredLesson(const StageContext& context) {
  const config::Distill& config = context.stage->distill();
  std::vector<kd::TargetCache::View> stored;
  for (const StageInput* targets : context.Inputs("targets")) {
    RETORT_ASSIGN_OR_RETURN(kd::TargetCache::View view, StoredView(targets->artifact, targets->replicate));
    stored.push_back(std::move(view));
  }
  RETORT_ASSIGN_OR_RETURN(kd::TargetCache cache, kd::TargetCache::Open(stored));
  const StoredViews views(config.view_use(), context.seed, cache.views());
  Lesson lesson;
  RETORT_ASSIGN_OR_RETURN(lesson.plan, FreshViews(context, config.train()));
  // The student's views are the stored ones, or those of train.augment, whose numbers are the epochs.
  kd::CachedTeacher::StoredView stored_view;
  switch (config.teacher_view()) {
    case config::Distill::SAME_VIEW: {
      RETORT_ASSIGN_OR_RETURN(absl::optional<data::ViewPlan> shown, OpenInputViews(context));
      if (config.mixing() == config::Distill::TEACH_THEN_MIX) {
        lesson.plan = shown.value_or(data::ViewPlan()).MixedAs(lesson.plan);
      } else {
        lesson.plan = shown.value_or(data::ViewPlan());
      }
      lesson.views_of = views;
      lesson.stored_views = true;
      break;
    }
    case config::Distill::INDEPENDENT_VIEWS:
      stored_view = [views](int64_t epoch, int64_t image) { return views.Of(epoch, image); };
      break;
    case config::Distill::FIXED_VIEW:
      stored_view = [](int64_t, int64_t) { return 0; };
      break;
  }
  lesson.teacher = std::make_unique<kd::CachedTeacher>(std::move(cache), std::move(stored_view));
  return lesson;
}

absl::StatusOr<Lesson> LiveLesson(const StageContext& context, const data::Dataset* dataset) {
  const config::Distill& config = context.stage->distill();
  Lesson lesson;
  RETORT_ASSIGN_OR_RETURN(lesson.plan, FreshViews(context, config.train()));
  RETORT_ASSIGN_OR_RETURN(std::vector<LoadedTeacher> teachers, LoadTeachers(context));
  if (teachers.empty()) return lesson;
  for (const StageInput* input : context.Inputs("teacher")) RETORT_RETURN_IF_ERROR(Introduce(*input, *dataset));
  RETORT_ASSIGN_OR_RETURN(const data::ChannelStatistics normalization,
                          ResolveNormalization(config.train().normalize(), *dataset));
  for (auto& [trained, own] : teachers) {
    switch (config.teacher_view()) {
      case config::Distill::SAME_VIEW: {
        RETORT_ASSIGN_OR_RETURN(own, TeacherViews(trained, *dataset, lesson.plan));
        const bool same_normalization =
            normalization.mean == trained.normalization.mean && normalization.std == trained.normalization.std;
        if (!own.has_value() && !same_normalization) own = lesson.plan;
        break;
      }
      case config::Distill::INDEPENDENT_VIEWS: {
        RETORT_ASSIGN_OR_RETURN(const data::ViewPlan other,
                                data::ViewPlan::Create(config.train().augment(), DeriveSeed(context.seed, "teacher")));
        RETORT_ASSIGN_OR_RETURN(own, TeacherViews(trained, *dataset, other));
        if (!own.has_value()) own = other;
        break;
      }
      case config::Distill::FIXED_VIEW:
        RETORT_RETURN_IF_ERROR(CheckFits(trained, *dataset, trained.test_views));
        own = trained.test_views;
        break;
    }
  }
  RETORT_ASSIGN_OR_RETURN(lesson.teacher, RunTeachers(context, dataset, std::move(teachers), config.teacher_weight()));
  return lesson;
}

}  // namespace

absl::StatusOr<StageOutput> RunDistill(const StageContext& context) {
  const config::Distill& config = context.stage->distill();
  RETORT_ASSIGN_OR_RETURN(data::DatasetSplits splits, OpenInputDataset(context));
  const data::Dataset images = splits.train;  // teachers keep a pointer to it
  RETORT_ASSIGN_OR_RETURN(const Lesson lesson,
                          config.has_targets() ? StoredLesson(context) : LiveLesson(context, &images));
  return RunTraining(context, {.model = &config.model(),
                               .objective = &config.objective(),
                               .train = &config.train(),
                               .splits = std::move(splits),
                               .plan = lesson.plan,
                               .views_of = lesson.views_of,
                               .teacher = lesson.teacher.get(),
                               .stored_views = lesson.stored_views});
}

}  // namespace retort::pipelines
