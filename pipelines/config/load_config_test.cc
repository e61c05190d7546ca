#include "retort/pipelines/config/load_config.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "retort/data/io/file.h"

namespace retort::pipelines {
namespace {

using ::testing::HasSubstr;

constexpr char kConfig[] = R"(name: "test"
seed: 7
stage { name: "cifar" ingest { cifar10 {} } }
stage {
  name: "teacher"
  finetune {
    data: "cifar"
    model { deep_nn { hidden: 64 } }
    objective { term { cross_entropy {} } }
    train { epochs: 2 optimizer { adam {} } }
  }
}
stage { name: "views" augment { data: "cifar" count: 5 step { crop {} } step { flip {} } } }
stage { name: "targets" cache_logits { views: "views" teacher: "teacher" store { precision: FP16 } } }
stage {
  name: "student"
  distill {
    targets: "targets"
    model { light_nn {} }
    objective {
      term { weight: 0.2 cross_entropy { label_smoothing: 0.1 } }
      term { weight: 0.8 distill { temperature: 4 form: KL } }
    }
    train { epochs: 2 batch_size: 64 optimizer { sgd { learning_rate: 0.1 } } }
    view_use: VIEWS_IN_TURN
    replicates: 3
  }
}
stage {
  name: "live"
  distill {
    data: "cifar" teacher: "teacher"
    model { light_nn {} }
    objective { term { attention { pair { student: "conv1" teacher: "conv1" } } } }
    train { optimizer { adam {} } validation {} normalize { mean: [0.5, 0.5, 0.5] std: [0.2, 0.2, 0.2] } }
  }
}
stage { name: "results" report { run: ["teacher", "student", "live"] } }
)";

std::string ConfigPath() { return absl::StrCat(testing::TempDir(), "/config.textproto"); }

absl::StatusOr<config::Pipeline> Load(const std::string& text, const std::vector<std::string>& overrides = {}) {
  EXPECT_TRUE(data::WriteFileAtomically(ConfigPath(), text).ok());
  return LoadPipeline(ConfigPath(), overrides);
}

struct BadConfig {
  std::string name;
  std::vector<std::pair<std::string, std::string>> edits =
      {};  // of kConfig: a text that occurs once, and what it becomes
  std::vector<std::string> overrides = {};
  std::vector<std::string> faults = {};  // all of them; $ is the path of the file
};

class LoadBadConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(LoadBadConfig, ReportsAllFaults) {
  std::string text = kConfig;
  for (const auto& [from, to] : GetParam().edits) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_EQ(text.find(from, at + 1), std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  const absl::Status status = Load(text, GetParam().overrides).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(absl::StrReplaceAll(status.message(), {{ConfigPath(), "$"}}), absl::StrJoin(GetParam().faults, "\n"));
}

const std::vector<BadConfig>& BadConfigs() {
  static const auto& cases = *new std::vector<BadConfig>{
      {.name = "UnknownField",
       .edits = {{"epochs: 2 batch_size", "epoch: 2 batch_size"}},
       .faults =
           {"$:24:13: stage \"student\": train: no field \"epoch\"; permitted: accumulate, augment, batch_size, ema, "
            "epochs, normalize, optimizer, schedule, selection, test_augment, validation; did you mean \"epochs\"?"}},
      {.name = "UnknownFieldWithNothingNear",
       .edits = {{"seed: 7", "colour: \"red\""}},
       .faults = {"$:2:1: no field \"colour\"; permitted: deployment, name, numerics, seed, stage"}},
      {.name = "UnknownFieldOfAChild",
       .edits = {{"replicates: 3", "epochs: 3"}},
       .faults = {"$:26:5: stage \"student\": no field \"epochs\"; permitted: begin_with, data, initial_weights, "
                  "mixing, model, "
                  "objective, replicates, targets, teacher, teacher_view, teacher_weight, train, view_use; did you "
                  "mean \"train.epochs\"?"}},
      {.name = "UnknownKindOfStage",
       .edits = {{"views\" augment {", "views\" augmentation {"}},
       .faults = {"$:13:23: stage \"views\": no field \"augmentation\"; permitted: augment, cache_logits, distill, "
                  "evaluate, export, finetune, ingest, name, report"}},
      {.name = "UnknownAlternative",
       .edits = {{"cifar10 {}", "imagenet {}"}},
       .faults = {"$:3:32: stage \"cifar\": no field \"imagenet\"; permitted: cifar10, cifar100, procedural"}},
      {.name = "UnknownModel",
       .edits = {{"model { deep_nn { hidden: 64 } }", "model { resnet18 {} }"}},
       .faults = {"$:8:13: stage \"teacher\": model: no field \"resnet18\"; permitted: cifar_resnet, "
                  "convnext, deep_nn, efficientnet, light_nn, mobilenet_v2, mobilenet_v3, notebook_deep_nn, "
                  "notebook_light_nn, plain_cnn, residual, resnet, shufflenet_v1, shufflenet_v2, vgg, vit, "
                  "wide_resnet; did you mean \"resnet\"?"}},
      {.name = "UnknownFieldNumber",
       .edits = {{"seed: 7", "2: 7"}},
       .faults = {"$:2:1: needs the name of a field, got \"2\""}},
      {.name = "Extension",
       .edits = {{"seed: 7", "[retort.x]: 7"}},
       .faults = {"$:2:1: needs the name of a field, got \"[\""}},
      {.name = "UnknownEnum",
       .edits = {{"FP16", "FP61"}},
       .faults = {"$:14:82: stage \"targets\": store.precision: no value FP61; permitted: BF16, FP16, FP32, INT8; did "
                  "you mean \"FP16\"?"}},
      {.name = "LowerCaseEnum",
       .edits = {{"form: KL", "form: kl"}},
       .faults = {"$:22:51: stage \"student\": objective.term[1].distill.form: no value kl; permitted: "
                  "ELEMENT_MEAN_KL, KL, SOFT_CROSS_ENTROPY; did you mean \"KL\"?"}},
      {.name = "EnumNumber",
       .edits = {{"FP16", "7"}},
       .faults = {"$:14:82: stage \"targets\": store.precision: no value 7; permitted: BF16, FP16, FP32, INT8"}},
      {.name = "StringForInteger",
       .edits = {{"epochs: 2 optimizer { adam", "epochs: \"two\" optimizer { adam"}},
       .faults = {"$:10:13: stage \"teacher\": train.epochs: needs an integer, got \"two\""}},
      {.name = "RealForInteger",
       .edits = {{"count: 5", "count: 5.5"}},
       .faults = {"$:13:47: stage \"views\": count: needs an integer, got \"5.5\""}},
      {.name = "IntegerForString",
       .edits = {{"name: \"views\"", "name: 5"}},
       .faults = {"$:13:9: stage[2]: name: needs a string in quotes, got \"5\"",
                  "$:14:40: stage \"targets\": views: no stage \"views\"; needs an earlier stage of kind augment; "
                  "permitted: none"}},
      {.name = "WordForString",
       .edits = {{"data: \"cifar\"\n", "data: cifar\n"}},
       .faults = {"$:7:5: stage \"teacher\": data: needs a string in quotes, got \"cifar\""}},
      {.name = "WordForBool",
       .edits = {{"cifar10 {}", "cifar100 { fine: yes }"}},
       .faults = {"$:3:43: stage \"cifar\": cifar100.fine: needs true or false, got \"yes\""}},
      {.name = "WordForNumber",
       .edits = {{"label_smoothing: 0.1", "label_smoothing: low"}},
       .faults = {"$:21:42: stage \"student\": objective.term[0].cross_entropy.label_smoothing: needs a decimal "
                  "number, got \"low\""}},
      {.name = "ValueForMessage",
       .edits = {{"model { light_nn {} }\n    objective {\n", "model: 3\n    objective {\n"}},
       .faults = {"$:19:5: stage \"student\": model: needs a message, model { ... }, got \"3\""}},
      {.name = "MessageForValue",
       .edits = {{"seed: 7", "seed { x: 1 }"}},
       .faults = {"$:2:1: seed: needs an integer, got \"{\""}},
      {.name = "MissingValue",
       .edits = {{"count: 5 step { crop {} }", "count: step { crop {} }"}},
       .faults = {"$:13:47: stage \"views\": count: needs an integer, got \"step\"",
                  "$:13:59: stage \"views\": needs the name of a field, got \"{\""}},
      {.name = "MissingColon",
       .edits = {{"replicates: 3", "replicates 3"}},
       .faults = {"$:26:16: stage \"student\": ':' is missing after \"replicates\""}},
      {.name = "MissingBrace",
       .edits = {{"seed: 7\n", "seed: 7\nnumerics { threads: 1\n"}},
       .faults = {"$:3:10: numerics: this message is never closed with '}'"}},
      {.name = "ExtraBrace", .edits = {{"seed: 7\n", "seed: 7 }\n"}}, .faults = {"$:2:9: '}' closes nothing"}},
      {.name = "UnclosedString",
       .edits = {{"name: \"test\"", "name: \"test"}},
       .faults = {"$:1:12: String literals cannot cross line boundaries."}},
      {.name = "SetTwice",
       .edits = {{"seed: 7", "seed: 7 seed: 8"}},
       .faults = {"$:2:9: \"seed\" is set twice; first in line 2"}},
      {.name = "MessageSetTwice",
       .edits = {{"seed: 7", "numerics {} numerics { threads: 1 }"}},
       .faults = {"$:2:13: \"numerics\" is set twice; first in line 2"}},
      {.name = "TwoAlternatives",
       .edits = {{"targets: \"targets\"", "targets: \"targets\" data: \"cifar\""}},
       .faults = {"$:18:24: stage \"student\": \"data\" and \"targets\" exclude each other; leave one of them out"}},
      {.name = "TwoModels",
       .edits = {{"light_nn {} }\n    objective {\n", "light_nn {} deep_nn {} }\n    objective {\n"}},
       .faults = {"$:19:25: stage \"student\": model: \"deep_nn\" and \"light_nn\" exclude each other; leave one of "
                  "them out"}},
      {.name = "TrailingWord",
       .edits = {{"\"live\"] } }\n", "\"live\"] } }\nend\n"}},
       .faults = {"$:39:1: no field \"end\"; permitted: deployment, name, numerics, seed, stage"}},
      {.name = "TrailingJunk",
       .edits = {{"\"live\"] } }\n", "\"live\"] } }\n42\n"}},
       .faults = {"$:39:1: needs the name of a field, got \"42\""}},
      {.name = "BelowRange",
       .edits = {{"hidden: 64", "hidden: 0"}},
       .faults = {"$:8:23: stage \"teacher\": model.deep_nn.hidden: 0 is not in [1, 65536]"}},
      {.name = "AboveRange",
       .edits = {{"batch_size: 64", "batch_size: 100000"}},
       .faults = {"$:24:23: stage \"student\": train.batch_size: 100000 is not in [1, 65536]"}},
      {.name = "AtOpenEnd",
       .edits = {{"temperature: 4", "temperature: 0"}},
       .faults = {"$:22:36: stage \"student\": objective.term[1].distill.temperature: 0 is not in (0, 1000]"}},
      {.name = "NegativeWeight",
       .edits = {{"weight: 0.2", "weight: -0.2"}},
       .faults = {"$:21:14: stage \"student\": objective.term[0].weight: -0.2 is not in [0, 1000000000]"}},
      {.name = "NotANumber",
       .edits = {{"temperature: 4", "temperature: nan"}},
       .faults = {"$:22:36: stage \"student\": objective.term[1].distill.temperature: nan is not in (0, 1000]"}},
      {.name = "Infinite",
       .edits = {{"weight: 0.2", "weight: inf"}},
       .faults = {"$:21:14: stage \"student\": objective.term[0].weight: inf is not in [0, 1000000000]"}},
      {.name = "Overflow",
       .edits = {{"label_smoothing: 0.1", "label_smoothing: 1e999"}},
       .faults = {"$:21:42: stage \"student\": objective.term[0].cross_entropy.label_smoothing: inf is not in [0, 1)"}},
      {.name = "IntegerOverflow",
       .edits = {{"epochs: 2 optimizer { adam", "epochs: 99999999999 optimizer { adam"}},
       .faults = {"$:10:13: stage \"teacher\": train.epochs: 99999999999 is not in [0, 1000000]"}},
      {.name = "NegativeSeed",
       .edits = {{"seed: 7", "seed: -7"}},
       .faults = {"$:2:1: seed: -7 is not in [0, 18446744073709551615]"}},
      {.name = "MissingName", .edits = {{"name: \"test\"\n", ""}}, .faults = {"$:1:1: needs \"name\""}},
      {.name = "EmptyName", .edits = {{"name: \"test\"", "name: \"\""}}, .faults = {"$:1:1: name: must not be empty"}},
      {.name = "NameWithSlash",
       .edits = {{"name: \"test\"", "name: \"../test\""}},
       .faults = {"$:1:1: name: has other characters than letters, digits, - and _"}},
      {.name = "MissingModel",
       .edits = {{"model { light_nn {} }\n    objective {\n", "objective {\n"}},
       .faults = {"$:17:3: stage \"student\": needs \"model\""}},
      {.name = "MissingSource",
       .edits = {{"targets: \"targets\"\n", ""}},
       .faults = {"$:17:3: stage \"student\": needs one of data, targets"}},
      {.name = "MissingKind",
       .edits = {{"ingest { cifar10 {} }", ""}},
       .faults = {"$:3:1: stage \"cifar\": needs one of ingest, finetune, augment, cache_logits, distill, evaluate, "
                  "report, export"}},
      {.name = "ExportOfNothing",
       .edits = {{"stage { name: \"results\"",
                  "stage { name: \"files\" export { model: \"student\" } }\nstage { name: \"results\""}},
       .faults = {"$:38:23: stage \"files\": writes nothing; needs safetensors, onnx or both"}},
      {.name = "MissingStageName",
       .edits = {{"name: \"views\"", ""}},
       .faults = {"$:13:1: stage[2]: needs \"name\"",
                  "$:14:40: stage \"targets\": views: no stage \"views\"; needs an earlier stage of kind augment; "
                  "permitted: none"}},
      {.name = "StageNameTwice",
       .edits = {{"name: \"views\"", "name: \"teacher\""}},
       .faults = {"$:13:9: stage \"teacher\": name: \"teacher\" is the name of an earlier stage too; each stage needs "
                  "its own",
                  "$:14:40: stage \"targets\": views: no stage \"views\"; needs an earlier stage of kind augment; "
                  "permitted: teacher"}},
      {.name = "StageNameWithSpace",
       .edits = {{"name: \"live\"", "name: \"live one\""}},
       .faults = {"$:30:3: stage \"live one\": name: \"live one\" has other characters than letters, digits and _",
                  "$:38:62: stage \"results\": run[2]: no stage \"live\"; needs an earlier stage of kind distill or "
                  "evaluate or finetune; permitted: live one, student, teacher"}},
      {.name = "StageNameIsAField",
       .edits = {{"name: \"live\"", "name: \"seed\""}},
       .faults = {"$:30:3: stage \"seed\": name: \"seed\" is a field of the pipeline; choose another name",
                  "$:38:62: stage \"results\": run[2]: no stage \"live\"; needs an earlier stage of kind distill or "
                  "evaluate or finetune; permitted: seed, student, teacher"}},
      {.name = "NoTerm",
       .edits = {{"term { cross_entropy {} }", ""}},
       .faults = {"$:9:5: stage \"teacher\": objective: needs \"preset\", or one \"term\" at least"}},
      {.name = "PresetOfATeacherWithoutOne",
       .edits = {{"term { cross_entropy {} }", "preset { hinton_kd { soft: 0.5 } }"}},
       .faults = {"$:9:17: stage \"teacher\": objective.preset: \"distill\" needs a teacher, and a finetune stage has "
                  "none; use a distill stage"}},
      {.name = "PresetWithoutWeights",
       .edits = {{"term { cross_entropy {} }", "preset { dist { hard: 0 soft: 0 } }"}},
       .faults = {"$:9:5: stage \"teacher\": objective: the weight of every term is 0: nothing is trained"}},
      {.name = "PresetWithoutPaper",
       .edits = {{"term { cross_entropy {} }", "term { cross_entropy {} } preset { }"}},
       .faults =
           {"$:9:43: stage \"teacher\": objective.preset: needs one of hinton_kd, born_again, function_matching, "
            "logit_standardization, dkd, dist, multi_level, deit, teacher_free, cs_kd, attention_transfer, "
            "input_gradient_transfer, fitnets, nst, sp, fsp, factor_transfer, ab, vid, ofd, review_kd, sim_kd, rkd, "
            "pkt, cc, crd"}},
      {.name = "NoReportedRun",
       .edits = {{"run: [\"teacher\", \"student\", \"live\"]", ""}},
       .faults = {"$:38:25: stage \"results\": \"run\" occurs 0 times; permitted: [1, 1000]"}},
      {.name = "TermWithoutKind",
       .edits = {{"term { cross_entropy {} }", "term { weight: 2 }"}},
       .faults = {"$:9:17: stage \"teacher\": objective.term[0]: needs one of cross_entropy, distill, "
                  "cosine_embedding, attention, dkd, dist, multi_level, distillation_token, "
                  "teacher_free, class_wise, top_k_cross_entropy, gradient_attention, "
                  "input_gradient, hint, nst, similarity_preserving, fsp, factor_transfer, "
                  "activation_boundary, rkd, pkt, correlation_congruence, hierarchical_context, vid, "
                  "crd, ofd, review_kd, sim_kd"}},
      {.name = "NoSuchStage",
       .edits = {{"teacher: \"teacher\" store", "teacher: \"techer\" store"}},
       .faults =
           {"$:14:55: stage \"targets\": teacher[0]: no stage \"techer\"; needs an earlier stage of kind distill or "
            "finetune; permitted: teacher; did you mean \"teacher\"?"}},
      {.name = "LaterStage",
       .edits = {{"teacher: \"teacher\" store", "teacher: \"live\" store"}},
       .faults = {"$:14:55: stage \"targets\": teacher[0]: stage \"live\" comes later in the file; move it before this "
                  "stage"}},
      {.name = "OwnStage",
       .edits = {{"teacher: \"teacher\"\n", "teacher: \"live\"\n"}},
       .faults = {"$:32:19: stage \"live\": teacher[0]: names its own stage; needs an earlier stage of kind distill or "
                  "finetune; permitted: student, teacher"}},
      {.name = "StageOfAnotherKind",
       .edits = {{"teacher: \"teacher\"\n", "teacher: \"views\"\n"}},
       .faults = {"$:32:19: stage \"live\": teacher[0]: stage \"views\" is of kind augment; needs an earlier stage of "
                  "kind distill or finetune; permitted: student, teacher"}},
      {.name = "EmptyReference",
       .edits = {{"\"student\", \"live\"", "\"student\", \"\""}},
       .faults = {"$:38:62: stage \"results\": run[2]: needs the name of an earlier stage of kind distill or evaluate "
                  "or finetune"}},
      {.name = "TargetsAndTeacher",
       .edits = {{"targets: \"targets\"", "targets: \"targets\" teacher: \"teacher\""}},
       .faults = {"$:18:24: stage \"student\": teacher[0]: \"targets\" already say what the teacher said; leave "
                  "\"teacher\" out, or use \"data\""}},
      {.name = "TargetsAndAugment",
       .edits = {{"epochs: 2 batch_size", "augment { flip {} } augment { cutout {} } epochs: 2 batch_size"}},
       .faults = {"$:24:13: stage \"student\": train.augment[0]: \"targets\" belong to the views of their own augment "
                  "stage; put the steps there, or choose another teacher_view: INDEPENDENT_VIEWS or FIXED_VIEW"}},
      {.name = "MixingWithTargetsUnsaid",
       .edits = {{"epochs: 2 batch_size", "augment { cut_mix {} } epochs: 2 batch_size"}},
       .faults = {"$:24:13: stage \"student\": train.augment[0]: mixes images that \"targets\" teach. Say mixing: "
                  "TEACH_THEN_MIX to mix the targets alike; or put mixup and cut_mix into the augment stage, so that "
                  "the teacher sees the mixed images; or use \"data\" and \"teacher\""}},
      {.name = "MixedTwice",
       .edits = {{"epochs: 2 batch_size", "augment { cut_mix {} } epochs: 2 batch_size"},
                 {"view_use:", "mixing: TEACH_THEN_MIX view_use:"},
                 {"step { flip {} }", "step { mixup {} }"}},
       .faults =
           {"$:24:13: stage \"student\": train.augment[0]: mixes views that the augment stage has mixed already"}},
      {.name = "MixingOfNothing",
       .edits = {{"view_use:", "mixing: TEACH_THEN_MIX view_use:"}},
       .faults = {"$:25:5: stage \"student\": mixing: TEACH_THEN_MIX needs mixup or cut_mix in train.augment"}},
      {.name = "MixedTargetsOfMore",
       .edits = {{"epochs: 2 batch_size", "augment { mixup {} } epochs: 2 batch_size"},
                 {"view_use:", "mixing: TEACH_THEN_MIX view_use:"},
                 {"precision: FP16", "precision: FP16 embedding: true"},
                 {"distill { temperature: 4 form: KL }", "cosine_embedding {}"}},
       .faults = {"$:22:7: stage \"student\": objective.term[1]: \"cosine_embedding\" reads more than the teacher's "
                  "logits, which alone can be mixed; leave the term out, or let the teacher see the mixed images: "
                  "MIX_THEN_TEACH"}},
      {.name = "ValidationInMixedViews",
       .edits = {{"epochs: 2 batch_size", "validation {} epochs: 2 batch_size"},
                 {"step { flip {} }", "step { mixup {} }"}},
       .faults = {"$:24:13: stage \"student\": train.validation: holds out images that stored views mix with others; "
                  "leave it out, or mix in train.augment"}},
      {.name = "GradientsOfMixedViews",
       .edits = {{"precision: FP16", "precision: FP16 input_gradient: true"},
                 {"step { flip {} }", "step { mixup {} }"}},
       .faults =
           {"$:14:74: stage \"targets\": store: holds gradients of the cross-entropy, which reads one label, and "
            "the views are mixed of two images; leave gradient_map and input_gradient out, or mixup and cut_mix"}},
      {.name = "AnotherViewThatIsMixed",
       .edits = {{"view_use: VIEWS_IN_TURN", "teacher_view: INDEPENDENT_VIEWS"},
                 {"step { flip {} }", "step { mixup {} }"}},
       .faults =
           {"$:25:5: stage \"student\": teacher_view: is another view than the student's, so neither can be mixed: "
            "leave out mixup and cut_mix, or choose SAME_VIEW"}},
      {.name = "AnotherViewOfALiveTeacherThatIsMixed",
       .edits = {{"train { optimizer { adam {} } validation {}",
                  "teacher_view: FIXED_VIEW train { optimizer { adam {} } augment { mixup {} } validation {}"}},
       .faults = {"$:35:5: stage \"live\": teacher_view: is another view than the student's, so neither can be mixed: "
                  "leave out mixup and cut_mix, or choose SAME_VIEW"}},
      {.name = "AllViewsOfAnother",
       .edits = {{"view_use: VIEWS_IN_TURN", "view_use: ALL_VIEWS teacher_view: INDEPENDENT_VIEWS"}},
       .faults = {"$:25:5: stage \"student\": view_use: ALL_VIEWS needs teacher_view: SAME_VIEW"}},
      {.name = "AFixedViewIsOfImages",
       .edits = {{"view_use: VIEWS_IN_TURN", "teacher_view: FIXED_VIEW"}},
       .faults =
           {"$:25:5: stage \"student\": teacher_view: FIXED_VIEW is of images as they are, and \"targets\" are of "
            "views of an augment stage; make a cache_logits stage with \"data\" instead of \"views\""}},
      {.name = "AllOfTooManyViews",
       .edits = {{"view_use: VIEWS_IN_TURN", "view_use: ALL_VIEWS"}, {"count: 5", "count: 1025"}},
       .faults =
           {"$:25:5: stage \"student\": view_use: ALL_VIEWS makes steps of 64 x 1025 images; permitted are 65536; "
            "lower train.batch_size or the augment stage's count"}},
      {.name = "ContrastOfAllViews",
       .edits = {{"view_use: VIEWS_IN_TURN", "view_use: ALL_VIEWS"},
                 {"distill { temperature: 4 form: KL }", "crd {}"},
                 {"precision: FP16", "precision: FP16 embedding: true"}},
       .faults = {"$:22:7: stage \"student\": objective.term[1]: \"crd\" remembers one row of an image, and ALL_VIEWS "
                  "shows several at once; choose another view_use"}},
      {.name = "TeacherViewWithoutTeacher",
       .edits = {{"data: \"cifar\" teacher: \"teacher\"", "data: \"cifar\" teacher_view: FIXED_VIEW"},
                 {"attention { pair { student: \"conv1\" teacher: \"conv1\" } }", "cross_entropy {}"}},
       .faults = {"$:32:19: stage \"live\": teacher_view: has no use without \"targets\" or \"teacher\""}},
      {.name = "TeachThenMixOfALiveTeacher",
       .edits = {{"data: \"cifar\" teacher: \"teacher\"",
                  "data: \"cifar\" teacher: \"teacher\" mixing: TEACH_THEN_MIX"}},
       .faults = {"$:32:38: stage \"live\": mixing: a live teacher sees the mixed images; TEACH_THEN_MIX needs "
                  "\"targets\""}},
      {.name = "WeightsOfTeachers",
       .edits = {{"teacher: \"teacher\" store", "teacher: \"teacher\" teacher_weight: [1, 2] store"},
                 {"data: \"cifar\" teacher: \"teacher\"",
                  "data: \"cifar\" teacher: [\"teacher\", \"student\"] teacher_weight: 0"},
                 {"attention { pair { student: \"conv1\" teacher: \"conv1\" } }", "distill {}"}},
       .faults =
           {"$:14:91: stage \"targets\": teacher_weight: 2 weights, but 1 teacher; give one each, or leave them out",
            "$:32:51: stage \"live\": teacher_weight[0]: 0 is not in (0, 1000000]",
            "$:32:51: stage \"live\": teacher_weight: 1 weights, but 2 teachers; give one each, or leave them out"}},
      {.name = "SeveralTeachersHaveLogitsAlone",
       .edits = {{"data: \"cifar\" teacher: \"teacher\"", "data: \"cifar\" teacher: [\"teacher\", \"student\"]"},
                 {"teacher: \"teacher\" store { precision: FP16 }",
                  "teacher: [\"teacher\", \"teacher\"] store { embedding: true }"}},
       .faults =
           {"$:14:87: stage \"targets\": store: holds more than logits, of which alone several teachers have a mean",
            "$:34:17: stage \"live\": objective.term[0]: \"attention\" reads more than logits, of which alone "
            "several teachers have a mean; name one teacher"}},
      {.name = "ViewUseWithoutTargets",
       .edits = {{"data: \"cifar\" teacher: \"teacher\"",
                  "data: \"cifar\" teacher: \"teacher\" view_use: VIEWS_IN_TURN"}},
       .faults = {"$:32:38: stage \"live\": view_use: has no use without \"targets\""}},
      {.name = "TeacherTermInFinetune",
       .edits = {{"term { cross_entropy {} }", "term { cross_entropy {} } term { distill {} }"}},
       .faults = {"$:9:43: stage \"teacher\": objective.term[1]: \"distill\" needs a teacher, and a finetune stage has "
                  "none; use a distill stage"}},
      {.name = "TeacherTermWithoutTeacher",
       .edits = {{"data: \"cifar\" teacher: \"teacher\"", "data: \"cifar\""}},
       .faults = {"$:34:17: stage \"live\": objective.term[0]: \"attention\" needs a teacher; set \"teacher\" beside "
                  "\"data\", or \"targets\" instead of it"}},
      {.name = "TeacherWithoutATermForIt",
       .edits = {{"attention { pair { student: \"conv1\" teacher: \"conv1\" } }", "cross_entropy {}"}},
       .faults =
           {"$:32:19: stage \"live\": teacher[0]: no term of the objective uses it; add one, such as distill { }, "
            "or leave it out"}},
      {.name = "EmbeddingNotStored",
       .edits = {{"distill { temperature: 4 form: KL }", "cosine_embedding {}"}},
       .faults = {"$:22:7: stage \"student\": objective.term[1]: \"cosine_embedding\" and stage \"targets\": the "
                  "objective reads what the target cache does not store; add there: embedding: true"}},
      {.name = "AttentionWithTargets",
       .edits = {{"distill { temperature: 4 form: KL }", "attention { pair { student: \"a\" teacher: \"b\" } }"}},
       .faults = {"$:22:7: stage \"student\": objective.term[1]: \"attention\" and stage \"targets\": a target cache "
                  "holds no features, and the objective reads the teacher's tap b; run the teacher itself (teacher: "
                  "instead of targets:); attention can do with stored maps (pooling: MAP)"}},
      {.name = "AttentionWithMapsThatAreNotStored",
       .edits = {{"distill { temperature: 4 form: KL }",
                  "attention { pair { student: \"a\" teacher: \"b\" } pooling: MAP }"}},
       .faults = {"$:22:7: stage \"student\": objective.term[1]: \"attention\" and stage \"targets\": the objective "
                  "reads what the target cache does not store; add there: map: \"b\""}},
      {.name = "NothingWeighs",
       .edits = {{"weight: 0.2", "weight: 0"}, {"weight: 0.8", "weight: 0"}},
       .faults = {"$:20:5: stage \"student\": objective: the weight of every term is 0: nothing is trained"}},
      {.name = "StepTwice",
       .edits = {{"step { crop {} }", "step { flip {} }"}},
       .faults = {"$:13:73: stage \"views\": step[1]: \"flip\" occurs twice; permitted: once"}},
      {.name = "StepsOutOfOrder",
       .edits = {{"step { crop {} } step { flip {} }", "step { flip {} } step { crop {} }"}},
       .faults =
           {"$:13:73: stage \"views\": step[1]: \"crop\" comes too late; the order is random_resized_crop, resize, "
            "center_crop, crop, flip, auto_augment, rand_augment, trivial_augment, aug_mix, color_jitter, cutout, "
            "random_erasing, mixup, cut_mix"}},
      {.name = "TrainStepsOutOfOrder",
       .edits = {{"validation {}", "validation {} augment { flip {} } augment { crop {} }"}},
       .faults =
           {"$:35:69: stage \"live\": train.augment[1]: \"crop\" comes too late; the order is "
            "random_resized_crop, resize, "
            "center_crop, crop, flip, auto_augment, rand_augment, trivial_augment, aug_mix, color_jitter, cutout, "
            "random_erasing, mixup, cut_mix"}},
      {.name = "CutoutAndRandomErasing",
       .edits = {{"step { crop {} } step { flip {} }", "step { cutout {} } step { random_erasing {} }"}},
       .faults = {"$:13:23: stage \"views\": augment step[1] is random_erasing after cutout; a view has one erased "
                  "rectangle, so give one of both"}},
      {.name = "MixupAndCutMixBothAlways",
       .edits = {{"train { epochs: 2 optimizer { adam {} } }",
                  "train { epochs: 2 augment { mixup {} } augment { cut_mix {} } optimizer { adam {} } }"}},
       .faults = {"$:10:5: stage \"teacher\": train: the probabilities of mixup and cut_mix are 1 and 1; an image gets "
                  "one of both, so they add up to 1 at most"}},
      {.name = "TermsOfOneLabelWithMixing",
       .edits = {{"attention { pair { student: \"conv1\" teacher: \"conv1\" } }", "dkd {}"},
                 {"validation {}", "validation {} augment { mixup {} }"}},
       .faults =
           {"$:34:17: stage \"live\": objective.term[0]: \"dkd\" reads one label or the place of each image, which "
            "images mixed by mixup or cut_mix do not have; leave these out, or use terms such as cross_entropy and "
            "distill"}},
      {.name = "SizedViewsWithoutTestViews",
       .edits = {{"train { epochs: 2 optimizer { adam {} } }",
                  "train { epochs: 2 augment { random_resized_crop { size: 48 } } optimizer { adam {} } }"}},
       .faults = {"$:10:5: stage \"teacher\": train: views that are trained on have 48 x 48, those of test_augment the "
                  "size of the images; a model takes one size: give test_augment { resize { size: N } } test_augment { "
                  "center_crop { size: 48 } }, N at least 48"}},
      {.name = "SizedTargetsWithoutTestViews",
       .edits = {{"step { crop {} } step { flip {} }", "step { random_resized_crop { size: 48 } } step { flip {} }"}},
       .faults = {"$:24:5: stage \"student\": train: views that are trained on have 48 x 48, those of test_augment the "
                  "size of the images; a model takes one size: give test_augment { resize { size: N } } test_augment { "
                  "center_crop { size: 48 } }, N at least 48"}},
      {.name = "TestViewsAlone",
       .edits = {{"train { epochs: 2 optimizer { adam {} } }",
                  "train { epochs: 2 test_augment { resize { size: 48 } } test_augment { center_crop { size: 32 } } "
                  "optimizer { adam {} } }"}},
       .faults = {"$:10:5: stage \"teacher\": train: views that are trained on have the size of the images, those of "
                  "test_augment 32 x 32; leave test_augment out, or begin the other steps with random_resized_crop or "
                  "resize"}},
      {.name = "RandomTestViews",
       .edits = {{"train { epochs: 2 optimizer { adam {} } }",
                  "train { epochs: 2 test_augment { flip {} } optimizer { adam {} } }"}},
       .faults = {"$:10:23: stage \"teacher\": train.test_augment[0]: is drawn; permitted where a model is measured: "
                  "resize and center_crop"}},
      {.name = "MeanAndStdDiffer",
       .edits = {{"std: [0.2, 0.2, 0.2]", "std: 0.2"}},
       .faults = {"$:35:49: stage \"live\": train.normalize: mean has 3 numbers, std 1; both need one a channel"}},
      {.name = "StdIsZero",
       .edits = {{"std: [0.2, 0.2, 0.2]", "std: [0.2, 0, 0.2]"}},
       .faults = {"$:35:94: stage \"live\": train.normalize.std[1]: 0 is not in (0, 10]"}},
      {.name = "TooManyChannels",
       .edits = {{"mean: [0.5, 0.5, 0.5] std: [0.2, 0.2, 0.2]", "mean: [0,0,0,0,0] std: [1,1,1,1,1]"}},
       .faults = {"$:35:49: stage \"live\": train.normalize: \"mean\" occurs 5 times; permitted: [1, 4]",
                  "$:35:49: stage \"live\": train.normalize: \"std\" occurs 5 times; permitted: [1, 4]"}},
      {.name = "WarmUpLongerThanTraining",
       .edits = {{"epochs: 2 optimizer { adam {} }", "epochs: 2 optimizer { adam {} } schedule { warmup_epochs: 3 }"}},
       .faults = {"$:10:56: stage \"teacher\": train.schedule.warmup_epochs: 3 is more than all 2 epochs"}},
      {.name = "WarmUpOfOneCycle",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } schedule { warmup_epochs: 1 one_cycle {} }"}},
       .faults = {"$:10:56: stage \"teacher\": train.schedule.warmup_epochs: has no use with one_cycle, which warms up "
                  "by itself; leave it out"}},
      {.name = "StepsBeyondTheEnd",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } schedule { multi_step { epoch: [1, 1, 2] } }"}},
       .faults = {"$:10:80: stage \"teacher\": train.schedule.multi_step.epoch[1]: 1 comes after 1; write them in "
                  "rising order, each once",
                  "$:10:83: stage \"teacher\": train.schedule.multi_step.epoch[2]: 2 is never reached: the last of 2 "
                  "epochs is 1, counted from 0"}},
      {.name = "BeginsWithAnotherModel",
       .edits = {{"replicates: 3", "begin_with: 'teacher'"}},
       .faults = {"$:26:5: stage \"student\": begin_with: \"teacher\" trains another model; give both the same"}},
      {.name = "BeginsTwice",
       .edits = {{"replicates: 3", "begin_with: 'teacher' initial_weights { path: 'x' }"},
                 {"model { light_nn {} }\n    objective {\n", "model { deep_nn { hidden: 64 } }\n    objective {\n"}},
       .faults = {"$:26:5: stage \"student\": begin_with: and initial_weights exclude each other"}},
      {.name = "ArmedAfterTheEnd",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation {} selection { arm_epoch: 2 }"}},
       .faults = {"$:10:71: stage \"teacher\": train.selection.arm_epoch: 2 is after the end: the last of 2 epochs is "
                  "1, counted from 0"}},
      {.name = "SelectionWithoutValidation",
       .edits = {{"epochs: 2 optimizer { adam {} }", "epochs: 2 optimizer { adam {} } selection {}"}},
       .faults = {"$:10:45: stage \"teacher\": train.selection: chooses by validation, and there is none; add "
                  "validation { fraction: 0.1 }"}},
      {.name = "SelectionOnTheTestSplit",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation { split: TEST } selection {}"}},
       .faults =
           {"$:10:72: stage \"teacher\": train.selection: would choose by the test split, which then measures nothing; "
            "validate on split: HELD_OUT, or say as_published: true to repeat a publication that did so"}},
      {.name = "PublishedSelectionOnHeldOutImages",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation {} selection { as_published: true }"}},
       .faults = {"$:10:71: stage \"teacher\": train.selection.as_published: is for validation { split: TEST } alone"}},
      {.name = "HeldOutShareOfTheTestSplit",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation { split: TEST fraction: 0.5 }"}},
       .faults = {"$:10:70: stage \"teacher\": train.validation.fraction: has no use with split: TEST, which holds "
                  "nothing out"}},
      {.name = "SelectsNothing",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation {} selection { keep_best: false }"}},
       .faults = {"$:10:71: stage \"teacher\": train.selection.keep_best: false leaves nothing to select; give "
                  "patience, or leave the selection out"}},
      {.name = "ValidationOfMixedViews",
       .edits = {{"epochs: 2 optimizer { adam {} }",
                  "epochs: 2 optimizer { adam {} } validation { views: TRAINING } augment { mixup {} }"}},
       .faults =
           {"$:10:58: stage \"teacher\": train.validation.views: TRAINING would measure mixed images; choose CLEAN"}},
      {.name = "ScheduleWithoutSteps",
       .edits = {{"epochs: 2 optimizer { adam {} }", "epochs: 2 optimizer { adam {} } schedule { multi_step {} }"}},
       .faults =
           {"$:10:56: stage \"teacher\": train.schedule.multi_step: \"epoch\" occurs 0 times; permitted: [1, 1000]"}},
      {.name = "NesterovWithoutMomentum",
       .edits = {{"learning_rate: 0.1", "learning_rate: 0.1 momentum: 0 nesterov: true"}},
       .faults = {"$:24:87: stage \"student\": train.optimizer.sgd.nesterov: needs a momentum above 0"}},
      {.name = "TeacherOfOtherClasses",
       .edits = {{"stage { name: \"views\" augment { data: \"cifar\"",
                  "stage { name: \"hundred\" ingest { cifar100 {} } }\nstage { name: \"views\" augment { data: "
                  "\"hundred\""}},
       .faults = {"$:15:55: stage \"targets\": teacher[0]: stage \"teacher\" is trained on 10 classes, but \"views\" "
                  "has 100"}},
      {.name = "TeacherOfAsManyOtherClasses",
       .edits = {{"stage { name: \"views\" augment { data: \"cifar\"",
                  "stage { name: \"shapes\" ingest { procedural {} } }\nstage { name: \"views\" augment { data: "
                  "\"shapes\""}},
       .faults = {"$:15:55: stage \"targets\": teacher[0]: stage \"teacher\" is trained on the classes of cifar10, but "
                  "\"views\" has those of procedural"}},
      {.name = "FiveFaultsAtOnce",
       .edits = {{"seed: 7", "sed: 7"},
                 {"hidden: 64", "hidden: 0"},
                 {"data: \"cifar\" count", "data: \"cfar\" count"},
                 {"FP16", "FP61"},
                 {"epochs: 2 batch_size", "epochs: \"two\" batch_size"}},
       .faults = {"$:2:1: no field \"sed\"; permitted: deployment, name, numerics, seed, stage; did you mean \"seed\"?",
                  "$:8:23: stage \"teacher\": model.deep_nn.hidden: 0 is not in [1, 65536]",
                  "$:13:33: stage \"views\": data: no stage \"cfar\"; needs an earlier stage of kind ingest; "
                  "permitted: cifar; did you mean \"cifar\"?",
                  "$:14:82: stage \"targets\": store.precision: no value FP61; permitted: BF16, FP16, FP32, INT8; did "
                  "you mean \"FP16\"?",
                  "$:24:13: stage \"student\": train.epochs: needs an integer, got \"two\""}},
      {.name = "SetUnknownField",
       .overrides = {"student.train.epoch=3"},
       .faults = {"--set student.train.epoch=3: stage \"student\": train: no field \"epoch\"; permitted: accumulate, "
                  "augment, batch_size, ema, epochs, normalize, optimizer, schedule, selection, test_augment, "
                  "validation; did you mean \"epochs\"?"}},
      {.name = "SetUnknownStage",
       .overrides = {"studnt.train.epochs=3"},
       .faults = {"--set studnt.train.epochs=3: no stage and no field \"studnt\"; permitted: cifar, deployment, live, "
                  "name, numerics, results, seed, stage, student, targets, teacher, views; did you mean \"student\"?"}},
      {.name = "SetOutOfRange",
       .overrides = {"student.train.epochs=1000001"},
       .faults =
           {"--set student.train.epochs=1000001: stage \"student\": train.epochs: 1000001 is not in [0, 1000000]"}},
      {.name = "SetWrongType",
       .overrides = {"student.train.epochs=ten"},
       .faults = {"--set student.train.epochs=ten: stage \"student\": train.epochs: needs an integer, got \"ten\""}},
      {.name = "SetWithoutValue",
       .overrides = {"seed"},
       .faults = {"--set seed: needs the form path=value, such as seed=7"}},
      {.name = "SetNothing", .overrides = {"seed="}, .faults = {"--set seed=: seed: needs an integer, got nothing"}},
      {.name = "SetWithoutIndex",
       .overrides = {"student.objective.term.weight=1"},
       .faults = {"--set student.objective.term.weight=1: stage \"student\": objective.term: is repeated; say which, "
                  "such as term[0]"}},
      {.name = "SetBeyondTheEnd",
       .overrides = {"student.objective.term[2].weight=1"},
       .faults = {"--set student.objective.term[2].weight=1: stage \"student\": objective.term: no element \"2\"; "
                  "permitted: 0 to 1"}},
      {.name = "SetIndexOfSingle",
       .overrides = {"student.train[0].epochs=1"},
       .faults = {"--set student.train[0].epochs=1: stage \"student\": train: is not repeated; leave \"[0]\" out"}},
      {.name = "SetIntoAValue",
       .overrides = {"seed.x=1"},
       .faults = {"--set seed.x=1: seed: is a value and has no field \"x\""}},
      {.name = "SetTrailing",
       .overrides = {"seed=3 name: \"x\""},
       .faults = {"--set seed=3 name: \"x\": unexpected \"name\" after the value"}},
      {.name = "SetUnclosedMessage",
       .overrides = {"teacher.train.optimizer={ sgd { }"},
       .faults = {"--set teacher.train.optimizer={ sgd { }: stage \"teacher\": train.optimizer: this message is never "
                  "closed with '}'"}},
      {.name = "SetUnknownInMessage",
       .overrides = {"teacher.train.optimizer={ sgd { rate: 1 } }"},
       .faults = {"--set teacher.train.optimizer={ sgd { rate: 1 } }: stage \"teacher\": train.optimizer.sgd: no field "
                  "\"rate\"; permitted: learning_rate, momentum, nesterov, weight_decay"}},
      {.name = "SetEnum",
       .overrides = {"targets.store.precision=FP8"},
       .faults = {"--set targets.store.precision=FP8: stage \"targets\": store.precision: no value FP8; permitted: "
                  "BF16, FP16, FP32, INT8"}},
      {.name = "SetReference",
       .overrides = {"targets.teacher=nobody"},
       .faults = {"--set targets.teacher=nobody: stage \"targets\": teacher[0]: no stage \"nobody\"; needs an earlier "
                  "stage of kind distill or finetune; permitted: teacher"}},
      {.name = "RunListedTwice",
       .overrides = {"results.run[1]=teacher"},
       .faults =
           {"--set results.run[1]=teacher: stage \"results\": run[1]: \"teacher\" is listed before; name each run "
            "once"}},
      {.name = "SetAndFile",
       .edits = {{"hidden: 64", "hidden: 0"}},
       .overrides = {"student.replicates=0", "seed=x"},
       .faults = {"$:8:23: stage \"teacher\": model.deep_nn.hidden: 0 is not in [1, 65536]",
                  "--set student.replicates=0: stage \"student\": replicates: 0 is not in [1, 1000]",
                  "--set seed=x: seed: needs an integer, got \"x\""}},
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, LoadBadConfig, testing::ValuesIn(BadConfigs()),
                         [](const testing::TestParamInfo<BadConfig>& test) { return test.param.name; });

TEST(LoadPipeline, ReplacesPresetsByTheirTerms) {
  const std::string terms =
      "term { weight: 0.3 cross_entropy {} } term { weight: 0.7 distill { temperature: 4 } } term { weight: 2 pkt {} }";
  const std::string preset = "preset { hinton_kd { hard: 0.3 soft: 0.7 } } term { weight: 2 pkt {} }";
  const auto load = [](const std::string& objective) {
    const std::string path = absl::StrCat(testing::TempDir(), "/preset.textproto");
    const std::string attention = R"(term { attention { pair { student: "conv1" teacher: "conv1" } } })";
    EXPECT_TRUE(data::WriteFileAtomically(path, absl::StrReplaceAll(kConfig, {{attention, objective}})).ok());
    return LoadPipeline(path, {});
  };
  const absl::StatusOr<config::Pipeline> short_form = load(preset), long_form = load(terms);
  ASSERT_TRUE(short_form.ok()) << short_form.status();
  ASSERT_TRUE(long_form.ok()) << long_form.status();
  EXPECT_EQ(short_form->DebugString(), long_form->DebugString());
}

TEST(LoadPipeline, ReadsAGoodConfig) {
  const absl::StatusOr<config::Pipeline> pipeline = Load(kConfig);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status();
  EXPECT_EQ(pipeline->name(), "test");
  EXPECT_EQ(pipeline->seed(), 7u);
  ASSERT_EQ(pipeline->stage_size(), 7);
  EXPECT_EQ(pipeline->stage(5).distill().objective().term(0).attention().pair(0).teacher(), "conv1");
  EXPECT_EQ(pipeline->stage(6).report().run(2), "live");
}

std::string LiveTerm(const std::string& term, const std::string& augment) {
  return absl::StrReplaceAll(kConfig, {{"attention { pair { student: \"conv1\" teacher: \"conv1\" } }", term},
                                       {"validation {}", absl::StrCat("augment { ", augment, " } validation {}")}});
}

TEST(LoadPipeline, MixingIsForTermsThatCanMeanIt) {
  const std::string pair = "{ pair { student: \"conv1\" teacher: \"conv1\" } }";
  for (const char* const augment : {"mixup {}", "cut_mix {}"}) {
    for (const std::string& term :
         std::vector<std::string>{"distill {}", "top_k_cross_entropy { k: 3 }", "attention " + pair}) {
      EXPECT_TRUE(Load(LiveTerm(term, augment)).ok()) << term << Load(LiveTerm(term, augment)).status();
    }
    for (const std::string& term :
         std::vector<std::string>{"dkd {}", "input_gradient {}", "crd {}", "gradient_attention " + pair,
                                  "distill {} } term { teacher_free {}", "distill {} } term { class_wise {}"}) {
      EXPECT_NE(Load(LiveTerm(term, augment)).status().message().find("\" reads one label or the place"),
                absl::string_view::npos)
          << term << Load(LiveTerm(term, augment)).status();
      EXPECT_TRUE(Load(LiveTerm(term, "flip {}")).ok()) << term << Load(LiveTerm(term, "flip {}")).status();
    }
  }
}

// Every teaching mode with stored targets and with a live teacher.
TEST(LoadPipeline, TeachersMaySeeOtherViews) {
  const auto load = [](const std::vector<std::pair<std::string, std::string>>& edits) {
    return Load(absl::StrReplaceAll(kConfig, edits)).status();
  };
  for (const char* const use : {"ONE_VIEW_PER_EPOCH", "RANDOM_VIEW_PER_IMAGE", "ALL_VIEWS"}) {
    EXPECT_EQ(load({{"VIEWS_IN_TURN", use}}), absl::OkStatus());
  }
  for (const char* const view : {"teacher_view: INDEPENDENT_VIEWS", "teacher_view: FIXED_VIEW"}) {
    EXPECT_EQ(load({{"view_use: VIEWS_IN_TURN", view},
                    {"epochs: 2 batch", "augment { crop {} } epochs: 2 batch"},
                    {"cache_logits { views: \"views\"", "cache_logits { data: \"cifar\""}}),
              absl::OkStatus());
    EXPECT_EQ(load({{"train { optimizer", absl::StrCat(view, " train { augment { crop {} } optimizer")}}),
              absl::OkStatus());
  }
  EXPECT_EQ(load({{"view_use:", "mixing: TEACH_THEN_MIX view_use:"},
                  {"epochs: 2 batch", "augment { mixup {} } epochs: 2 batch"}}),
            absl::OkStatus());
  EXPECT_EQ(load({{"step { flip {} }", "step { mixup {} }"}}), absl::OkStatus());
  EXPECT_EQ(load({{"teacher: \"teacher\" store", "teacher: [\"teacher\", \"teacher\"] teacher_weight: [2, 1] store"}}),
            absl::OkStatus());
}

TEST(LoadPipeline, ViewsMayHaveTheirOwnSizeAndBeMixed) {
  const std::string steps =
      "random_resized_crop { size: 48 } } augment { flip {} } augment { rand_augment {} } augment { random_erasing {} "
      "} "
      "augment { mixup { probability: 0.5 } } augment { cut_mix { probability: 0.5 }";
  const std::string measured = " } test_augment { resize { size: 54 } } test_augment { center_crop { size: 48 }";
  EXPECT_TRUE(Load(LiveTerm("distill {}", steps + measured)).ok())
      << Load(LiveTerm("distill {}", steps + measured)).status();
  EXPECT_FALSE(Load(LiveTerm("distill {}", steps)).ok());
}

TEST(LoadPipeline, MissingFileIsNotFound) {
  const absl::Status status = LoadPipeline("/no/such/file.textproto", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/file.textproto"));
}

TEST(LoadPipeline, EmptyFileIsRefused) {
  for (const char* text : {"", "\n", "# nothing but a comment\n"}) {
    const absl::Status status = Load(text).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("needs \"name\""));
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"stage\" occurs 0 times; permitted: [1, 1000]"));
  }
}

TEST(LoadPipeline, HugeFileIsRefused) {
  const absl::Status status = Load(std::string((1 << 20) + 1, '#')).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("1048577 bytes are no config"));
}

TEST(LoadPipeline, ManyFaultsAreCounted) {
  std::string text = "name: \"x\" stage { name: \"y\" ingest { cifar10 {} } }\n";
  for (int i = 0; i < 250; ++i) absl::StrAppend(&text, "colour: ", i, "\n");
  const absl::Status status = Load(text).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr(":101:1: no field \"colour\""));
  EXPECT_THAT(std::string(status.message()), testing::EndsWith("\nand 150 more faults"));
}

TEST(LoadPipeline, OverridesApplyInOrder) {
  const absl::StatusOr<config::Pipeline> pipeline =
      Load(kConfig, {
                        "seed=8",
                        "seed=9",
                        "numerics.threads=1",
                        "deployment.store=/data/store=1",
                        "student.train.epochs=3",
                        "student.objective.term[1].distill.temperature=2",
                        "student.objective.term[1].distill.form=SOFT_CROSS_ENTROPY",
                        "student.train.validation.fraction=0.2",
                        "teacher.train.optimizer={ sgd { learning_rate: 0.5 } }",
                        "teacher.model.light_nn.hidden=32",
                        "live.train.normalize.mean=[0.1, 0.2, 0.3]",
                        "live.train.normalize.std[1]=0.7",
                        "views.step=[{ flip { probability: 1 } }]",
                        "results.run=[teacher, \"live\"]",
                        "stage[0].ingest.cifar100={ fine: false }",
                        "targets.store.precision=FP32",
                    });
  ASSERT_TRUE(pipeline.ok()) << pipeline.status();
  EXPECT_EQ(pipeline->seed(), 9u);
  EXPECT_EQ(pipeline->numerics().threads(), 1);
  EXPECT_EQ(pipeline->deployment().store(), "/data/store=1");
  const config::Distill& student = pipeline->stage(4).distill();
  EXPECT_EQ(student.train().epochs(), 3);
  EXPECT_EQ(student.train().batch_size(), 64);
  EXPECT_EQ(student.objective().term(1).distill().temperature(), 2);
  EXPECT_EQ(student.objective().term(1).distill().form(), config::DistillKl::SOFT_CROSS_ENTROPY);
  EXPECT_EQ(student.train().validation().fraction(), 0.2);
  const config::Finetune& teacher = pipeline->stage(1).finetune();
  EXPECT_EQ(teacher.train().optimizer().sgd().learning_rate(), 0.5);
  EXPECT_FALSE(teacher.train().optimizer().has_adam());
  EXPECT_EQ(teacher.model().light_nn().hidden(), 32);
  const config::Normalization& normalize = pipeline->stage(5).distill().train().normalize();
  EXPECT_THAT(normalize.mean(), testing::ElementsAre(0.1, 0.2, 0.3));
  EXPECT_THAT(normalize.std(), testing::ElementsAre(0.2, 0.7, 0.2));
  ASSERT_EQ(pipeline->stage(2).augment().step_size(), 1);
  EXPECT_EQ(pipeline->stage(2).augment().step(0).flip().probability(), 1);
  EXPECT_THAT(pipeline->stage(6).report().run(), testing::ElementsAre("teacher", "live"));
  EXPECT_FALSE(pipeline->stage(0).ingest().cifar100().fine());
}

// What an override puts right is no fault of the file any more.
TEST(LoadPipeline, OverrideRepairsTheFile) {
  const std::string text = absl::StrReplaceAll(kConfig, {{"batch_size: 64", "batch_size: 0"}});
  EXPECT_FALSE(Load(text).ok());
  EXPECT_TRUE(Load(text, {"student.train.batch_size=1"}).ok());
}

}  // namespace
}  // namespace retort::pipelines
