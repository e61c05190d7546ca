#include "retort/pipelines/config/checks/check_terms.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/zeros.h"
#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "retort/data/io/status_macros.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/objective.h"
#include "retort/kd/presets/presets.h"
#include "retort/nn/build_model.h"
#include "retort/nn/key_maps/key_map.h"
#include "retort/pipelines/config/checks/shape_of_data.h"
#include "retort/pipelines/config/did_you_mean.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::FieldDescriptor;

// Images and logits of a stage's model.
struct Side {
  const config::Model* model;
  nn::ModelShape shape;

  at::Tensor Images() const { return at::zeros({2, shape.channels, shape.height, shape.width}); }
  at::Tensor Logits() const { return at::zeros({2, shape.classes}); }
};

// What a model makes of two images.
struct Shown {
  std::vector<std::string> parameters;
  std::vector<std::string> taps;
  nn::Outputs outputs;
};

bool ReadsToken(const config::Term& term) {
  const FieldDescriptor* const field =
      term.GetReflection()->GetOneofFieldDescriptor(term, config::Term::descriptor()->FindOneofByName("term"));
  return absl::c_linear_search(field->message_type()->options().GetExtension(config::facts).reads(),
                               config::TermFacts::DISTILLATION_LOGITS);
}

absl::Status CheckTaps(absl::string_view whose, const std::vector<std::string>& asked, const Shown& model) {
  for (const std::string& tap : asked) {
    if (absl::c_linear_search(model.taps, tap)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the ", whose, " has no tap \"", tap, "\"; ", Permitted(tap, model.taps)));
  }
  return absl::OkStatus();
}

// One number a place of a tap [B,C,H,W], as the maps that are made of it: [B,H,W].
absl::StatusOr<at::Tensor> Places(const Shown& teacher, const std::string& tap) {
  RETORT_RETURN_IF_ERROR(CheckTaps("teacher", {tap}, teacher));
  const at::Tensor& features = teacher.outputs.taps.at(tap);
  if (features.dim() == 4) return features.select(1, 0);
  return absl::InvalidArgumentError(absl::StrCat("the teacher's tap \"", tap, "\" [",
                                                 absl::StrJoin(features.sizes(), ","),
                                                 "] has no maps; choose one that is [B,C,H,W]"));
}

class TermChecker {
 public:
  TermChecker(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults)
      : pipeline_(pipeline), root_(pipeline, said, faults) {}

  void Run() {
    for (int i = 0; i < pipeline_.stage_size(); ++i) {
      const config::Stage& stage = pipeline_.stage(i);
      const Cursor cursor = root_.Field("stage", i);
      if (stage.has_finetune()) CheckTraining(stage, stage.finetune().objective(), cursor.Field("finetune"));
      if (stage.has_distill()) CheckTraining(stage, stage.distill().objective(), cursor.Field("distill"));
      if (stage.has_cache_logits()) CheckStore(stage.cache_logits(), cursor.Field("cache_logits").Field("store"));
    }
  }

 private:
  const config::Stage* Find(const std::string& name) const {
    const auto found =
        absl::c_find_if(pipeline_.stage(), [&](const config::Stage& stage) { return stage.name() == name; });
    return found == pipeline_.stage().end() ? nullptr : &*found;
  }

  // The model that a stage trains.
  absl::optional<Side> SideOf(const config::Stage& stage) const {
    const config::Training& train = stage.has_finetune() ? stage.finetune().train() : stage.distill().train();
    const absl::StatusOr<data::ViewPlan> views = data::ViewPlan::Create(train.test_augment(), /*seed=*/0);
    absl::optional<nn::ModelShape> shape = ShapeOfData(pipeline_, stage.name());
    if (!shape.has_value() || !views.ok()) return absl::nullopt;
    const data::ViewPlan::Size size = views->SizeOf({shape->height, shape->width});
    shape->height = size.height;
    shape->width = size.width;
    return Side{stage.has_finetune() ? &stage.finetune().model() : &stage.distill().model(), *shape};
  }

  // Whose outputs a student sees, through a cache or directly, the first of several; null where it sees none.
  const config::Stage* TeacherOf(const config::Stage& stage) const {
    if (!stage.has_distill()) return nullptr;
    const config::Distill& distill = stage.distill();
    const auto& teachers =
        distill.has_targets() ? Find(distill.targets())->cache_logits().teacher() : distill.teacher();
    return teachers.empty() ? nullptr : Find(teachers[0]);
  }

  // In training mode, in which a student may say more.
  absl::StatusOr<Shown> Show(const Side& side) {
    const std::string key = absl::StrCat(side.shape.height, " ", side.shape.width, " ", side.shape.channels, " ",
                                         side.shape.classes, " ", side.model->SerializeAsString());
    const auto found = shown_.find(key);
    if (found != shown_.end()) return found->second;
    RETORT_ASSIGN_OR_RETURN(const std::unique_ptr<nn::Model> model,
                            nn::BuildModel(*side.model, side.shape, /*seed=*/0, /*channels_last=*/true));
    const at::NoGradGuard no_grad;
    Shown shown;
    for (const auto& [name, parameter] : model->Parameters()) shown.parameters.push_back(name);
    shown.taps = model->TapNames();
    shown.outputs = model->Forward(side.Images().contiguous(at::MemoryFormat::ChannelsLast),
                                   {.embedding = true, .taps = shown.taps});
    shown_[key] = shown;
    return shown;
  }

  void CheckTraining(const config::Stage& stage, const config::Objective& objective, const Cursor& cursor) {
    const absl::optional<Side> student = SideOf(stage);
    const config::Stage* const teacher_stage = TeacherOf(stage);
    const absl::optional<Side> teacher = teacher_stage == nullptr ? absl::nullopt : SideOf(*teacher_stage);
    if (!student.has_value() || (teacher_stage != nullptr && !teacher.has_value())) return;
    const config::Training& train = stage.has_finetune() ? stage.finetune().train() : stage.distill().train();
    CheckGroups(train.optimizer(), *student, cursor.Field("train").Field("optimizer"));
    const config::Objective expanded = kd::Expanded(objective);
    const int first = expanded.term_size() - objective.term_size();
    for (int i = 0; i < expanded.term_size(); ++i) {
      const absl::Status status = Try(expanded.term(i), *student, teacher);
      if (status.ok()) continue;
      const Cursor at = cursor.Field("objective");
      (i < first ? at.Field("preset") : at.Field("term", i - first)).Complain(std::string(status.message()));
    }
  }

  // What a group names must be there, but for parts of the objective, which are not made yet.
  void CheckGroups(const config::Optimizer& optimizer, const Side& student, const Cursor& cursor) {
    for (int i = 0; i < optimizer.group_size(); ++i) {
      for (int j = 0; j < optimizer.group(i).name_size(); ++j) {
        const std::string& pattern = optimizer.group(i).name(j);
        const absl::StatusOr<Shown> shown = Show(student);
        const auto fits = [&](const std::string& name) { return nn::FitsPattern(name, pattern); };
        if (!shown.ok() || absl::StartsWith(pattern, "objective.") || absl::c_any_of(shown->parameters, fits)) continue;
        cursor.Field("group", i)
            .Field("name", j)
            .Complain(absl::StrCat("no parameter of the model is named \"", pattern, "\"; ",
                                   Permitted(pattern, shown->parameters)));
      }
    }
  }

  // A step of the term.
  absl::Status Try(const config::Term& term, const Side& student, const absl::optional<Side>& teacher) {
    config::Objective alone;
    *alone.add_term() = term;
    RETORT_ASSIGN_OR_RETURN(kd::Objective objective, kd::Objective::Create(alone));
    const kd::Needs& needs = objective.needs();
    kd::Step step;
    step.images = student.Images().set_requires_grad(true);
    step.labels = at::arange(2).remainder(student.shape.classes);
    step.index = at::arange(2);
    // Made of the images and of each tap.
    step.student.logits = student.Logits() + step.images.flatten(1).sum(1, /*keepdim=*/true);
    if (needs.student.embedding || !needs.student.taps.empty() || ReadsToken(term)) {
      RETORT_ASSIGN_OR_RETURN(const Shown shown, Show(student));
      RETORT_RETURN_IF_ERROR(CheckTaps("student", needs.student.taps, shown));
      step.student.distillation_logits = shown.outputs.distillation_logits;
      step.student.embedding = shown.outputs.embedding;
      for (const std::string& name : needs.student.taps) {
        const at::Tensor tap = shown.outputs.taps.at(name).clone().set_requires_grad(true);
        step.student.taps[name] = tap;
        step.student.logits = step.student.logits + tap.flatten(1).sum(1, /*keepdim=*/true);
      }
    }
    if (teacher.has_value()) RETORT_RETURN_IF_ERROR(Teach(needs.targets, *teacher, &step.teacher));
    RETORT_RETURN_IF_ERROR(objective.Prepare(step, /*samples=*/2));
    return objective.Compute(step).status();
  }

  absl::Status Teach(const kd::TargetRequest& request, const Side& teacher, kd::Targets* targets) {
    targets->logits = teacher.Logits();
    targets->gradients.images = teacher.Images();
    if (!request.embedding && request.taps.empty() && request.maps.empty() && request.gradients.maps.empty()) {
      return absl::OkStatus();
    }
    RETORT_ASSIGN_OR_RETURN(const Shown shown, Show(teacher));
    RETORT_RETURN_IF_ERROR(CheckTaps("teacher", request.taps, shown));
    targets->embedding = shown.outputs.embedding;
    targets->taps = shown.outputs.taps;
    for (const std::string& tap : request.maps) {
      RETORT_ASSIGN_OR_RETURN(targets->maps[tap], Places(shown, tap));
    }
    for (const std::string& tap : request.gradients.maps) {
      RETORT_ASSIGN_OR_RETURN(targets->gradients.maps[tap], Places(shown, tap));
    }
    return absl::OkStatus();
  }

  void CheckStore(const config::CacheLogits& cache, const Cursor& cursor) {
    const absl::optional<Side> teacher = SideOf(*Find(cache.teacher(0)));
    if (!teacher.has_value()) return;
    const auto check = [&](const char* field, const google::protobuf::RepeatedPtrField<std::string>& taps) {
      for (int i = 0; i < taps.size(); ++i) {
        const absl::StatusOr<Shown> shown = Show(*teacher);
        const absl::Status status = shown.ok() ? Places(*shown, taps[i]).status() : shown.status();
        if (!status.ok()) cursor.Field(field, i).Complain(std::string(status.message()));
      }
    };
    check("map", cache.store().map());
    check("gradient_map", cache.store().gradient_map());
  }

  const config::Pipeline& pipeline_;
  Cursor root_;
  std::map<std::string, Shown> shown_;  // by shape and model
};

}  // namespace

void CheckTerms(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults) {
  TermChecker(pipeline, said, faults).Run();
}

}  // namespace retort::pipelines
