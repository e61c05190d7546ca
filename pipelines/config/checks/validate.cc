#include "retort/pipelines/config/checks/validate.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "retort/data/field_options.pb.h"
#include "retort/data/views/view_plan.h"
#include "retort/kd/objective.h"
#include "retort/kd/presets/presets.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/nn/key_maps/key_map.h"
#include "retort/pipelines/config/checks/shape_of_data.h"
#include "retort/pipelines/config/did_you_mean.h"
#include "retort/pipelines/config/schema_rules.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;

bool IsWord(absl::string_view name, absl::string_view also) {
  return absl::c_all_of(name, [&](char c) { return absl::ascii_isalnum(c) || also.find(c) != also.npos; });
}

// The field of Stage's oneof that says what kind `stage` is of; null where it says none.
const FieldDescriptor* Kind(const config::Stage& stage) {
  return stage.GetReflection()->GetOneofFieldDescriptor(stage, config::Stage::descriptor()->FindOneofByName("kind"));
}

// The name of the term's kind; empty where it has none.
std::string TermName(const config::Term& term) {
  const FieldDescriptor* field =
      term.GetReflection()->GetOneofFieldDescriptor(term, config::Term::descriptor()->FindOneofByName("term"));
  return field == nullptr ? "" : field->name();
}

// A term, and where what it comes from is said.
struct PlacedTerm {
  config::Term term;
  Cursor cursor;
};

// Of the preset, then those listed; `cursor` is at `objective`.
std::vector<PlacedTerm> Terms(const config::Objective& objective, const Cursor& cursor) {
  const config::Objective expanded = kd::Expanded(objective);
  const int first = expanded.term_size() - objective.term_size();
  std::vector<PlacedTerm> terms;
  for (int i = 0; i < expanded.term_size(); ++i) {
    terms.push_back({expanded.term(i), i < first ? cursor.Field("preset") : cursor.Field("term", i - first)});
  }
  return terms;
}

// Whether a term means something of images that are mixed with others, whose labels and teachers are so too: it reads
// both labels, or none. Those that refuse read one label of each image, or remember images.
bool PermitsMixing(const config::Term& term) {
  switch (term.term_case()) {
    case config::Term::kCrossEntropy:
    case config::Term::kDistill:
    case config::Term::kCosineEmbedding:
    case config::Term::kAttention:
    case config::Term::kDist:
    case config::Term::kMultiLevel:
    case config::Term::kDistillationToken:
    case config::Term::kTopKCrossEntropy:
    case config::Term::kHint:
    case config::Term::kNst:
    case config::Term::kSimilarityPreserving:
    case config::Term::kFsp:
    case config::Term::kFactorTransfer:
    case config::Term::kActivationBoundary:
    case config::Term::kRkd:
    case config::Term::kPkt:
    case config::Term::kCorrelationCongruence:
    case config::Term::kHierarchicalContext:
    case config::Term::kVid:
    case config::Term::kOfd:
    case config::Term::kReviewKd:
    case config::Term::kSimKd:
    case config::Term::TERM_NOT_SET:
      return true;
    case config::Term::kDkd:
    case config::Term::kTeacherFree:
    case config::Term::kClassWise:
    case config::Term::kCrd:
    case config::Term::kGradientAttention:
    case config::Term::kInputGradient:
      return false;
  }
  return false;
}

using Steps = google::protobuf::RepeatedPtrField<config::AugmentStep>;

bool Mixes(const config::AugmentStep& step) { return step.has_mixup() || step.has_cut_mix(); }

class Validator {
 public:
  Validator(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults)
      : pipeline_(pipeline), root_(pipeline, said, faults), faults_(faults) {}

  void Run() {
    CheckSchemaRules(root_);
    if (!IsWord(pipeline_.name(), "_-"))
      root_.Field("name").Complain("has other characters than letters, digits, - and _");
    CheckNames();
    for (int i = 0; i < pipeline_.stage_size(); ++i) {
      const FieldDescriptor* kind = Kind(pipeline_.stage(i));
      if (kind == nullptr) continue;
      const Cursor cursor = root_.Field("stage", i).Field(kind);
      CheckReferences(i, cursor);
      CheckStage(pipeline_.stage(i), cursor);
    }
  }

 private:
  void CheckNames() {
    for (int i = 0; i < pipeline_.stage_size(); ++i) {
      const std::string& name = pipeline_.stage(i).name();
      if (name.empty()) continue;
      const Cursor cursor = root_.Field("stage", i).Field("name");
      if (!IsWord(name, "_"))
        cursor.Complain(absl::StrCat("\"", absl::CEscape(name), "\" has other characters than letters, digits and _"));
      if (config::Pipeline::descriptor()->FindFieldByName(name) != nullptr) {
        cursor.Complain(absl::StrCat("\"", name, "\" is a field of the pipeline; choose another name"));
      }
      if (!stages_.emplace(name, i).second) {
        cursor.Complain(absl::StrCat("\"", name, "\" is the name of an earlier stage too; each stage needs its own"));
      }
    }
  }

  // References stand in fields of the stage's own message, not deeper.
  void CheckReferences(int stage, const Cursor& cursor) {
    const google::protobuf::Message& message = cursor.message();
    const Reflection* reflection = message.GetReflection();
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message.GetDescriptor()->field(i);
      if (field->options().ExtensionSize(config::refers_to) == 0) continue;
      if (field->is_repeated()) {
        for (int j = 0; j < reflection->FieldSize(message, field); ++j) {
          CheckReference(stage, reflection->GetRepeatedString(message, field, j), cursor.Field(field, j), *field);
        }
      } else if (reflection->HasField(message, field)) {
        CheckReference(stage, reflection->GetString(message, field), cursor.Field(field), *field);
      }
    }
  }

  void CheckReference(int stage, const std::string& name, const Cursor& cursor, const FieldDescriptor& field) {
    std::set<std::string> kinds;
    for (int i = 0; i < field.options().ExtensionSize(config::refers_to); ++i) {
      kinds.insert(field.options().GetExtension(config::refers_to, i));
    }
    std::vector<std::string> permitted;
    for (int i = 0; i < stage; ++i) {
      const FieldDescriptor* kind = Kind(pipeline_.stage(i));
      const bool named = !pipeline_.stage(i).name().empty();
      if (named && kind != nullptr && kinds.count(kind->name()) > 0) permitted.push_back(pipeline_.stage(i).name());
    }
    const std::string wanted = absl::StrCat("an earlier stage of kind ", absl::StrJoin(kinds, " or "));
    const auto found = stages_.find(name);
    if (name.empty()) {
      if (!field.options().GetExtension(config::needed)) cursor.Complain(absl::StrCat("needs the name of ", wanted));
    } else if (found == stages_.end()) {
      cursor.Complain(absl::StrCat("no stage \"", name, "\"; needs ", wanted, "; ", Permitted(name, permitted)));
    } else if (found->second == stage) {
      cursor.Complain(absl::StrCat("names its own stage; needs ", wanted, "; ", Permitted(name, permitted)));
    } else if (const FieldDescriptor* kind = Kind(pipeline_.stage(found->second)); kind == nullptr) {
      return;  // that stage has its own fault
    } else if (kinds.count(kind->name()) == 0) {
      cursor.Complain(absl::StrCat("stage \"", name, "\" is of kind ", kind->name(), "; needs ", wanted, "; ",
                                   Permitted(name, permitted)));
    } else if (found->second > stage) {
      cursor.Complain(absl::StrCat("stage \"", name, "\" comes later in the file; move it before this stage"));
    }
  }

  void CheckStage(const config::Stage& stage, const Cursor& cursor) {
    switch (stage.kind_case()) {
      case config::Stage::kFinetune:
        return CheckFinetune(stage.finetune(), cursor);
      case config::Stage::kAugment:
        CheckSteps(stage.augment().step(), cursor, "step");
        return;
      case config::Stage::kCacheLogits:
        if (stage.cache_logits().has_normalize()) {
          CheckNormalization(stage.cache_logits().normalize(), cursor.Field("normalize"));
        }
        return CheckCache(stage.cache_logits(), cursor);
      case config::Stage::kDistill:
        return CheckDistill(stage.distill(), cursor);
      case config::Stage::kEvaluate:
        CheckClasses(stage.evaluate().model(), stage.evaluate().data(), cursor.Field("model"));
        if (stage.evaluate().has_teacher()) {
          CheckClasses(stage.evaluate().teacher(), stage.evaluate().data(), cursor.Field("teacher"));
        }
        return;
      case config::Stage::kExport:
        if (!stage.export_().has_safetensors() && !stage.export_().has_onnx()) {
          cursor.Complain("writes nothing; needs safetensors, onnx or both");
        }
        return;
      case config::Stage::kReport:
        return CheckReport(stage.report(), cursor);
      case config::Stage::kIngest:
      case config::Stage::KIND_NOT_SET:
        return;
    }
  }

  // A run has one row.
  static void CheckReport(const config::Report& report, const Cursor& cursor) {
    std::set<std::string> seen;
    for (int i = 0; i < report.run_size(); ++i) {
      if (seen.insert(report.run(i)).second) continue;
      cursor.Field("run", i).Complain(absl::StrCat("\"", report.run(i), "\" is listed before; name each run once"));
    }
  }

  void CheckInitialWeights(const config::InitialWeights& weights, const Cursor& cursor) {
    for (int i = 0; i < weights.rename_size(); ++i) {
      config::KeyMap alone;
      *alone.add_rule() = weights.rename(i);
      const absl::Status status = nn::KeyMap::Create(alone).status();
      if (!status.ok()) cursor.Field("rename", i).Complain(std::string(status.message()));
    }
  }

  // Of Finetune and Distill.
  template <typename Training>
  void CheckBeginning(const Training& training, const Cursor& cursor) {
    if (training.has_initial_weights()) {
      CheckInitialWeights(training.initial_weights(), cursor.Field("initial_weights"));
      if (training.has_begin_with()) cursor.Field("begin_with").Complain("and initial_weights exclude each other");
    }
    const auto found = stages_.find(training.begin_with());
    if (!training.has_begin_with() || found == stages_.end()) return;
    const config::Stage& stage = pipeline_.stage(found->second);
    const config::Model& model = stage.has_finetune() ? stage.finetune().model() : stage.distill().model();
    if (model.SerializeAsString() == training.model().SerializeAsString()) return;
    cursor.Field("begin_with")
        .Complain(absl::StrCat("\"", training.begin_with(), "\" trains another model; give both the same"));
  }

  void CheckFinetune(const config::Finetune& finetune, const Cursor& cursor) {
    CheckBeginning(finetune, cursor);
    if (finetune.has_train()) {
      CheckTraining(finetune.train(), cursor.Field("train"));
      CheckTestSteps(finetune.train().augment(), finetune.train(), cursor.Field("train"));
    }
    if (!finetune.has_objective()) return;
    CheckObjective(finetune.objective(), cursor.Field("objective"));
    CheckMixing(finetune.objective(), finetune.train().augment(), cursor);
    for (const PlacedTerm& term : Terms(finetune.objective(), cursor.Field("objective"))) {
      if (!kd::NeedsOf(term.term).teacher()) continue;
      term.cursor.Complain(absl::StrCat("\"", TermName(term.term),
                                        "\" needs a teacher, and a finetune stage has none; use a distill stage"));
    }
  }

  void CheckDistill(const config::Distill& distill, const Cursor& cursor) {
    CheckBeginning(distill, cursor);
    if (distill.has_train()) {
      CheckTraining(distill.train(), cursor.Field("train"));
      CheckTestSteps(StepsOf(distill), distill.train(), cursor.Field("train"));
    }
    if (distill.teacher_view() != config::Distill::SAME_VIEW && absl::c_any_of(AllSteps(distill), Mixes)) {
      cursor.Field("teacher_view")
          .Complain(
              "is another view than the student's, so neither can be mixed: leave out mixup and cut_mix, or choose "
              "SAME_VIEW");
    }
    if (distill.has_targets()) {
      CheckStoredLesson(distill, cursor);
    } else if (distill.has_data()) {
      CheckLiveLesson(distill, cursor);
    }
    if (!distill.has_objective()) return;
    CheckObjective(distill.objective(), cursor.Field("objective"));
    CheckMixing(distill.objective(), AllSteps(distill), cursor);
    bool used = false;
    for (const PlacedTerm& term : Terms(distill.objective(), cursor.Field("objective"))) {
      const bool needs_teacher = kd::NeedsOf(term.term).teacher();
      used = used || needs_teacher || term.term.term_case() == config::Term::TERM_NOT_SET;
      if (needs_teacher) CheckTeacherTerm(distill, term.term, term.cursor);
    }
    if (distill.teacher_size() > 0 && !distill.has_targets() && !used) {
      cursor.Field("teacher", 0)
          .Complain("no term of the objective uses it; add one, such as distill { }, or leave it out");
    }
  }

  void CheckWeights(const google::protobuf::RepeatedField<double>& weights, int teachers, const Cursor& cursor) {
    if (weights.empty() || weights.size() == teachers) return;
    cursor.Field("teacher_weight")
        .Complain(absl::StrCat(weights.size(), " weights, but ", teachers, teachers == 1 ? " teacher" : " teachers",
                               "; give one each, or leave them out"));
  }

  void CheckCache(const config::CacheLogits& cache, const Cursor& cursor) {
    CheckWeights(cache.teacher_weight(), cache.teacher_size(), cursor);
    for (int i = 0; i < cache.teacher_size(); ++i) {
      CheckClasses(cache.teacher(i), cache.has_views() ? cache.views() : cache.data(), cursor.Field("teacher", i));
    }
    if (cache.teacher_size() > 1 && !kd::RequestFor(cache.store()).LogitsAlone()) {
      cursor.Field("store").Complain("holds more than logits, of which alone several teachers have a mean");
    }
    const auto views = stages_.find(cache.views());
    if (views == stages_.end() || !absl::c_any_of(pipeline_.stage(views->second).augment().step(), Mixes)) return;
    if (cache.store().gradient_map_size() > 0 || cache.store().input_gradient()) {
      cursor.Field("store").Complain(
          "holds gradients of the cross-entropy, which reads one label, and the views are mixed of two images; leave "
          "gradient_map and input_gradient out, or mixup and cut_mix");
    }
  }

  // With "targets".
  void CheckStoredLesson(const config::Distill& distill, const Cursor& cursor) {
    const Steps& own = distill.train().augment();
    const Steps& stored = StoredSteps(distill);
    const bool mixes = absl::c_any_of(own, Mixes), stored_mixed = absl::c_any_of(stored, Mixes);
    if (distill.teacher_size() > 0) {
      cursor.Field("teacher", 0)
          .Complain("\"targets\" already say what the teacher said; leave \"teacher\" out, or use \"data\"");
    }
    if (distill.teacher_weight_size() > 0) cursor.Field("teacher_weight").Complain("has no use with \"targets\"");
    if (distill.teacher_view() == config::Distill::SAME_VIEW) {
      for (int i = 0; i < own.size(); ++i) {
        if (Mixes(own[i])) continue;
        cursor.Field("train")
            .Field("augment", i)
            .Complain(
                "\"targets\" belong to the views of their own augment stage; put the steps there, or choose another "
                "teacher_view: INDEPENDENT_VIEWS or FIXED_VIEW");
        break;
      }
      if (mixes && distill.mixing() != config::Distill::TEACH_THEN_MIX) {
        cursor.Field("train")
            .Field("augment", 0)
            .Complain(
                "mixes images that \"targets\" teach. Say mixing: TEACH_THEN_MIX to mix the targets alike; or put "
                "mixup and cut_mix into the augment stage, so that the teacher sees the mixed images; or use \"data\" "
                "and "
                "\"teacher\"");
      }
      if (mixes && stored_mixed) {
        cursor.Field("train").Field("augment", 0).Complain("mixes views that the augment stage has mixed already");
      }
    } else {
      if (distill.view_use() == config::Distill::ALL_VIEWS) {
        cursor.Field("view_use").Complain("ALL_VIEWS needs teacher_view: SAME_VIEW");
      }
      if (distill.teacher_view() == config::Distill::FIXED_VIEW && !stored.empty()) {
        cursor.Field("teacher_view")
            .Complain(
                "FIXED_VIEW is of images as they are, and \"targets\" are of views of an augment stage; make a "
                "cache_logits stage with \"data\" instead of \"views\"");
      }
    }
    if (distill.view_use() == config::Distill::ALL_VIEWS) CheckAllViews(distill, cursor);
    if (stored_mixed && distill.train().has_validation()) {
      cursor.Field("train")
          .Field("validation")
          .Complain("holds out images that stored views mix with others; leave it out, or mix in train.augment");
    }
    if (!mixes && distill.mixing() == config::Distill::TEACH_THEN_MIX) {
      cursor.Field("mixing").Complain("TEACH_THEN_MIX needs mixup or cut_mix in train.augment");
    }
  }

  void CheckAllViews(const config::Distill& distill, const Cursor& cursor) {
    constexpr int64_t kMostImages = 65536;
    const config::Stage* const views = ViewsOf(distill);
    const int64_t count = views == nullptr ? 1 : views->augment().count(), batch = distill.train().batch_size();
    if (count * batch > kMostImages) {
      cursor.Field("view_use")
          .Complain(absl::StrCat("ALL_VIEWS makes steps of ", batch, " x ", count, " images; permitted are ",
                                 kMostImages, "; lower train.batch_size or the augment stage's count"));
    }
    for (const PlacedTerm& term : Terms(distill.objective(), cursor.Field("objective"))) {
      if (!term.term.has_crd()) continue;
      term.cursor.Complain(
          "\"crd\" remembers one row of an image, and ALL_VIEWS shows several at once; choose another view_use");
    }
  }

  // With "data", and perhaps with "teacher".
  void CheckLiveLesson(const config::Distill& distill, const Cursor& cursor) {
    if (distill.has_view_use()) cursor.Field("view_use").Complain("has no use without \"targets\"");
    if (distill.has_teacher_view() && distill.teacher_size() == 0) {
      cursor.Field("teacher_view").Complain("has no use without \"targets\" or \"teacher\"");
    }
    if (distill.mixing() == config::Distill::TEACH_THEN_MIX) {
      cursor.Field("mixing").Complain("a live teacher sees the mixed images; TEACH_THEN_MIX needs \"targets\"");
    }
    CheckWeights(distill.teacher_weight(), distill.teacher_size(), cursor);
    for (int i = 0; i < distill.teacher_size(); ++i) {
      CheckClasses(distill.teacher(i), distill.data(), cursor.Field("teacher", i));
    }
  }

  void CheckTeacherTerm(const config::Distill& distill, const config::Term& term, const Cursor& cursor) {
    const std::string name = TermName(term);
    if (distill.has_data() && distill.teacher_size() == 0) {
      cursor.Complain(absl::StrCat(
          "\"", name, "\" needs a teacher; set \"teacher\" beside \"data\", or \"targets\" instead of it"));
    }
    const kd::TargetRequest request = kd::NeedsOf(term).targets;
    if (!request.LogitsAlone() && distill.teacher_size() > 1) {
      cursor.Complain(absl::StrCat(
          "\"", name, "\" reads more than logits, of which alone several teachers have a mean; name one teacher"));
    }
    if (!request.LogitsAlone() && distill.has_targets() && distill.mixing() == config::Distill::TEACH_THEN_MIX) {
      cursor.Complain(absl::StrCat("\"", name,
                                   "\" reads more than the teacher's logits, which alone can be mixed; leave the term "
                                   "out, or let the teacher see the mixed images: MIX_THEN_TEACH"));
    }
    if (!distill.has_targets()) return;
    const auto targets = stages_.find(distill.targets());
    if (targets == stages_.end() || !pipeline_.stage(targets->second).has_cache_logits()) return;
    const config::Stage& stage = pipeline_.stage(targets->second);
    const absl::Status status = kd::CheckContents(stage.cache_logits().store(), request);
    if (!status.ok())
      cursor.Complain(absl::StrCat("\"", name, "\" and stage \"", stage.name(), "\": ", status.message()));
  }

  void CheckObjective(const config::Objective& objective, const Cursor& cursor) {
    const FieldDescriptor* const field = config::Objective::descriptor()->FindFieldByName("term");
    if (objective.term_size() == 0 && !objective.has_preset()) {
      if (!cursor.Mentions(field)) cursor.Complain("needs \"preset\", or one \"term\" at least");
      return;
    }
    const config::Objective expanded = kd::Expanded(objective);
    if (absl::c_all_of(expanded.term(), [](const config::Term& term) { return term.weight() == 0; })) {
      cursor.Complain("the weight of every term is 0: nothing is trained");
    }
  }

  void CheckTraining(const config::Training& train, const Cursor& cursor) {
    CheckSteps(train.augment(), cursor, "augment");
    if (train.has_normalize()) CheckNormalization(train.normalize(), cursor.Field("normalize"));
    CheckSchedule(train, cursor);
    CheckSelection(train, cursor);
    const config::Sgd& sgd = train.optimizer().sgd();
    if (train.optimizer().has_sgd() && sgd.nesterov() && sgd.momentum() == 0) {
      cursor.Field("optimizer").Field("sgd").Field("nesterov").Complain("needs a momentum above 0");
    }
  }

  void CheckSchedule(const config::Training& train, const Cursor& cursor) {
    const config::Schedule& schedule = train.schedule();
    const int warmup = schedule.warmup_epochs();
    const auto complain = [&](const char* field, const std::string& text) {
      cursor.Field("schedule").Field(field).Complain(text);
    };
    if (warmup > train.epochs()) {
      complain("warmup_epochs", absl::StrCat(warmup, " is more than all ", train.epochs(), " epochs"));
    }
    if (schedule.has_one_cycle() && warmup > 0) {
      complain("warmup_epochs", "has no use with one_cycle, which warms up by itself; leave it out");
    }
    const auto& steps = schedule.multi_step().epoch();
    for (int i = 0; i < steps.size(); ++i) {
      const Cursor at = cursor.Field("schedule").Field("multi_step").Field("epoch", i);
      if (steps[i] >= train.epochs()) {
        at.Complain(absl::StrCat(steps[i], " is never reached: the last of ", train.epochs(), " epochs is ",
                                 train.epochs() - 1, ", counted from 0"));
      } else if (i > 0 && steps[i] <= steps[i - 1]) {
        at.Complain(absl::StrCat(steps[i], " comes after ", steps[i - 1], "; write them in rising order, each once"));
      }
    }
  }

  void CheckSelection(const config::Training& train, const Cursor& cursor) {
    const config::Selection& selection = train.selection();
    const bool on_test = train.validation().split() == config::Validation::TEST;
    const auto complain = [&](const char* field, const std::string& text) {
      cursor.Field("selection").Field(field).Complain(text);
    };
    if (on_test && train.validation().has_fraction()) {
      cursor.Field("validation").Field("fraction").Complain("has no use with split: TEST, which holds nothing out");
    }
    if (train.validation().views() == config::Validation::TRAINING && absl::c_any_of(train.augment(), Mixes)) {
      cursor.Field("validation").Field("views").Complain("TRAINING would measure mixed images; choose CLEAN");
    }
    if (!train.has_selection()) return;
    if (!train.has_validation()) {
      cursor.Field("selection").Complain("chooses by validation, and there is none; add validation { fraction: 0.1 }");
      return;
    }
    if (selection.arm_epoch() >= train.epochs()) {
      complain("arm_epoch", absl::StrCat(selection.arm_epoch(), " is after the end: the last of ", train.epochs(),
                                         " epochs is ", train.epochs() - 1, ", counted from 0"));
    }
    if (!selection.keep_best() && !selection.has_patience()) {
      complain("keep_best", "false leaves nothing to select; give patience, or leave the selection out");
    }
    if (on_test && !selection.as_published()) {
      cursor.Field("selection")
          .Complain(
              "would choose by the test split, which then measures nothing; validate on split: HELD_OUT, or say "
              "as_published: true to repeat a publication that did so");
    }
    if (!on_test && selection.as_published()) complain("as_published", "is for validation { split: TEST } alone");
  }

  void CheckNormalization(const config::Normalization& normalize, const Cursor& cursor) {
    if (normalize.mean_size() != normalize.std_size()) {
      cursor.Complain(absl::StrCat("mean has ", normalize.mean_size(), " numbers, std ", normalize.std_size(),
                                   "; both need one a channel"));
    }
  }

  // Each kind at most once, in the order of AugmentStep's lines.
  void CheckSteps(const Steps& steps, const Cursor& cursor, absl::string_view field) {
    const OneofDescriptor* oneof = config::AugmentStep::descriptor()->FindOneofByName("step");
    int last = 0;
    std::set<int> seen;
    for (int i = 0; i < steps.size(); ++i) {
      const FieldDescriptor* kind = steps[i].GetReflection()->GetOneofFieldDescriptor(steps[i], oneof);
      if (kind == nullptr) continue;
      if (!seen.insert(kind->number()).second) {
        cursor.Field(field, i).Complain(absl::StrCat("\"", kind->name(), "\" occurs twice; permitted: once"));
      } else if (kind->index_in_oneof() < last) {
        std::vector<std::string> order;
        for (int j = 0; j < oneof->field_count(); ++j) order.push_back(oneof->field(j)->name());
        cursor.Field(field, i).Complain(
            absl::StrCat("\"", kind->name(), "\" comes too late; the order is ", absl::StrJoin(order, ", ")));
      } else {
        last = kind->index_in_oneof();
      }
    }
    // What steps cannot be together. What the schema refuses has been said.
    if (!faults_->empty()) return;
    const absl::Status status = data::ViewPlan::Create(steps, /*seed=*/0).status();
    if (!status.ok()) cursor.Complain(std::string(status.message()));
  }

  // Side of the views that `steps` make; 0 where they have the size of the images, or it is not known.
  static int64_t SideOf(const Steps& steps) {
    const absl::StatusOr<data::ViewPlan> plan = data::ViewPlan::Create(steps, /*seed=*/0);
    return plan.ok() ? plan->SizeOf({0, 0}).height : 0;
  }

  // The model that is trained on views of `steps` must know how to make such where nothing is drawn.
  void CheckTestSteps(const Steps& steps, const config::Training& train, const Cursor& cursor) {
    CheckSteps(train.test_augment(), cursor, "test_augment");
    for (int i = 0; i < train.test_augment_size(); ++i) {
      const config::AugmentStep& step = train.test_augment(i);
      if (step.step_case() == config::AugmentStep::STEP_NOT_SET || step.has_resize() || step.has_center_crop())
        continue;
      cursor.Field("test_augment", i).Complain("is drawn; permitted where a model is measured: resize and center_crop");
    }
    if (!faults_->empty()) return;
    const int64_t side = SideOf(steps), test_side = SideOf(train.test_augment());
    if (side == test_side) return;
    const auto text = [](int64_t n) { return n == 0 ? "the size of the images" : absl::StrCat(n, " x ", n); };
    cursor.Complain(absl::StrCat(
        "views that are trained on have ", text(side), ", those of test_augment ", text(test_side),
        side == 0 ? "; leave test_augment out, or begin the other steps with random_resized_crop or resize"
                  : absl::StrCat("; a model takes one size: give test_augment { resize { size: N } } test_augment { "
                                 "center_crop { size: ",
                                 side, " } }, N at least ", side)));
  }

  void CheckMixing(const config::Objective& objective, const Steps& steps, const Cursor& cursor) {
    if (!absl::c_any_of(steps, Mixes)) return;
    for (const PlacedTerm& term : Terms(objective, cursor.Field("objective"))) {
      if (PermitsMixing(term.term)) continue;
      term.cursor.Complain(
          absl::StrCat("\"", TermName(term.term),
                       "\" reads one label or the place of each image, which images mixed by mixup or cut_mix "
                       "do not have; leave these out, or use terms such as cross_entropy and distill"));
    }
  }

  // The augment stage whose views `distill`'s targets are of; null where there is none.
  const config::Stage* ViewsOf(const config::Distill& distill) const {
    const auto targets = stages_.find(distill.targets());
    if (targets == stages_.end()) return nullptr;
    const auto views = stages_.find(pipeline_.stage(targets->second).cache_logits().views());
    return views == stages_.end() ? nullptr : &pipeline_.stage(views->second);
  }

  // The steps of the views that `distill`'s targets are of.
  const Steps& StoredSteps(const config::Distill& distill) const {
    const config::Stage* const views = ViewsOf(distill);
    return views == nullptr ? config::Augment::default_instance().step() : views->augment().step();
  }

  // The steps of the views that a student is trained on, but for mixing that is added to stored ones.
  const Steps& StepsOf(const config::Distill& distill) const {
    const bool stored = distill.has_targets() && distill.teacher_view() == config::Distill::SAME_VIEW;
    return stored ? StoredSteps(distill) : distill.train().augment();
  }

  Steps AllSteps(const config::Distill& distill) const {
    Steps all = distill.train().augment();
    if (distill.has_targets()) all.MergeFrom(StoredSteps(distill));
    return all;
  }

  // Complains where a model cannot judge images because it was trained on other classes, as far as a config tells: no
  // two sources have the same.
  void CheckClasses(const std::string& model, const std::string& data, const Cursor& cursor) {
    const absl::optional<nn::ModelShape> known = ShapeOfData(pipeline_, model), there = ShapeOfData(pipeline_, data);
    if (!known.has_value() || !there.has_value()) return;
    const std::string from = SourceName(model), to = SourceName(data);
    if (known->classes != there->classes) {
      cursor.Complain(absl::StrCat("stage \"", model, "\" is trained on ", known->classes, " classes, but \"", data,
                                   "\" has ", there->classes));
    } else if (from != to) {
      cursor.Complain(absl::StrCat("stage \"", model, "\" is trained on the classes of ", from, ", but \"", data,
                                   "\" has those of ", to));
    }
  }

  // "cifar10", of the data set behind `stage`, which has one.
  std::string SourceName(const std::string& stage) const {
    const config::Ingest& ingest = IngestBehind(pipeline_, stage)->ingest();
    return ingest.GetReflection()
        ->GetOneofFieldDescriptor(ingest, config::Ingest::descriptor()->FindOneofByName("source"))
        ->name();
  }

  const config::Pipeline& pipeline_;
  Cursor root_;
  const std::vector<Fault>* faults_;
  std::map<std::string, int> stages_;  // the first of each name
};

}  // namespace

void Validate(const config::Pipeline& pipeline, const Said& said, std::vector<Fault>* faults) {
  Validator(pipeline, said, faults).Run();
}

}  // namespace retort::pipelines
