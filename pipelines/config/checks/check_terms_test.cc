#include "retort/pipelines/config/checks/check_terms.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/pipelines/config/load_config.h"

namespace retort::pipelines {
namespace {

// A live teacher and a stored one. What a case says replaces STUDENT, LIVE, STORED, TEACHER, STORE and TRAIN.
constexpr char kConfig[] = R"(name: "test"
stage { name: "data" ingest { cifar100 {} } }
stage { name: "teacher" finetune { data: "data" model { TEACHER }
  objective { term { cross_entropy {} } } train { optimizer { adam {} } } } }
stage { name: "views" augment { data: "data" step { flip {} } } }
stage { name: "targets" cache_logits { views: "views" teacher: "teacher" store { STORE } } }
stage { name: "live" distill { data: "data" teacher: "teacher" model { STUDENT }
  objective { LIVE } train { optimizer { adam {} GROUPS } TRAIN } } }
stage { name: "stored" distill { targets: "targets" model { STUDENT }
  objective { STORED } train { optimizer { adam {} } } } }
)";

struct Case {
  std::string name;
  std::string live = "term { distill {} }";
  std::string stored = "term { distill {} }";
  std::string store = "";
  std::string student = "light_nn {}";
  std::string teacher = "deep_nn {}";
  std::string groups = "";
  std::string train = "";
  std::vector<std::string> faults = {};  // $ is the path of the file
};

class CheckTermsTest : public ::testing::TestWithParam<Case> {};

TEST_P(CheckTermsTest, ReportsAllFaults) {
  const Case& c = GetParam();
  const std::string path = absl::StrCat(::testing::TempDir(), "/terms.textproto");
  const std::string text = absl::StrReplaceAll(kConfig, {{"LIVE", c.live},
                                                         {"STORED", c.stored},
                                                         {"STORE ", c.store + " "},
                                                         {"STUDENT", c.student},
                                                         {"TEACHER", c.teacher},
                                                         {"GROUPS", c.groups},
                                                         {"TRAIN", c.train}});
  ASSERT_TRUE(data::WriteFileAtomically(path, text).ok());
  const absl::Status status = LoadPipeline(path, {}).status();
  EXPECT_EQ(absl::StrReplaceAll(status.message(), {{path, "$"}}), absl::StrJoin(c.faults, "\n"));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, CheckTermsTest,
    ::testing::Values(
        Case{.name = "GroupThatNamesNothing",
             .groups = "group { name: 'fc.*' frozen: true } group { name: ['classifier.*', 'objective.*'] }",
             .faults = {"$:8:73: stage \"live\": train.optimizer.group[0].name[0]: no parameter of the model is named "
                        "\"fc.*\"; "
                        "permitted: classifier.0.bias, classifier.0.weight, classifier.3.bias, classifier.3.weight, "
                        "features.0.bias, features.0.weight, features.3.bias, features.3.weight"}},
        Case{.name = "Good",
             .live = "preset { fitnets { pair { student: 'conv1' teacher: 'conv3' } } } "
                     "term { attention { pair { student: 'features' teacher: 'conv1' } } } term { crd {} } "
                     "term { gradient_attention { pair { student: 'features' teacher: 'conv1' } } } "
                     "term { input_gradient {} } term { cosine_embedding {} }",
             .stored = "term { attention { pair { student: 'features' teacher: 'conv1' } pooling: MAP } } "
                       "term { gradient_attention { pair { student: 'features' teacher: 'conv1' } } }",
             .store = "map: 'conv1' gradient_map: 'conv1'"},
        Case{.name = "NoSuchTapOfTheStudent",
             .live = "term { hint { pair { student: 'conv9' teacher: 'conv3' } } }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: the student has no tap \"conv9\"; permitted: "
                        "conv1, conv1.preact, features, features.preact; did you mean \"conv1\"?"}},
        Case{.name = "NoSuchTapOfTheTeacher",
             .live = "term { hint { pair { student: 'conv1' teacher: 'convv3' } } }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: the teacher has no tap \"convv3\"; permitted: "
                        "conv1, conv1.preact, conv2, conv2.preact, conv3, conv3.preact, features, features.preact; did "
                        "you mean \"conv3\"?"}},
        Case{.name = "NoSuchTapOfAStoredTeacher",
             .stored = "term { attention { pair { student: 'features' teacher: 'conv9' } pooling: MAP } }",
             .store = "map: 'conv9'",
             .faults = {"$:6:82: stage \"targets\": store.map[0]: the teacher has no tap \"conv9\"; permitted: conv1, "
                        "conv1.preact, conv2, conv2.preact, conv3, conv3.preact, features, features.preact; did you "
                        "mean \"conv1\"?",
                        "$:10:15: stage \"stored\": objective.term[0]: the teacher has no tap \"conv9\"; permitted: "
                        "conv1, conv1.preact, conv2, conv2.preact, conv3, conv3.preact, features, features.preact; did "
                        "you mean \"conv1\"?"}},
        Case{.name = "NoSuchTapOfAPreset",
             .live = "preset { nst { pair { student: 'conv1' teacher: 'conv9' } } }",
             .faults = {"$:8:15: stage \"live\": objective.preset: the teacher has no tap \"conv9\"; permitted: conv1, "
                        "conv1.preact, conv2, conv2.preact, conv3, conv3.preact, features, features.preact; did you "
                        "mean \"conv1\"?"}},
        Case{
            .name = "ChannelsDiffer",
            .live = "term { cross_entropy {} } term { hint { pair { student: 'conv1' teacher: 'conv3' } } }",
            .faults = {"$:8:41: stage \"live\": objective.term[1]: hint: student tap \"conv1\" [2,16,16,16] and "
                       "teacher tap \"conv3\" [2,64,16,16] must be of one shape (after pooling); choose a projection"}},
        Case{
            .name = "SizesThatNoProjectionMakes",
            .live = "term { hint { pair { student: 'features' teacher: 'conv1' } projection { kind: CONV_TO_SIZE } } }",
            .faults = {"$:8:15: stage \"live\": objective.term[0]: hint: student tap \"features\" [2,16,8,8] and "
                       "teacher tap \"conv1\" [2,128,32,32] must be [B,C,H,W], the student's half as high and wide as "
                       "the teacher's, or nowhere smaller"}},
        Case{.name = "WidthsOfEmbeddings",
             .live = "term { correlation_congruence { neighbours { width: 0 } } }",
             .student = "light_nn { conv2: 12 }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: correlation_congruence: embeddings of the student "
                        "[2,768] and of the teacher [2,2048] must be of one width; set width above 0"}},
        Case{.name = "NoMapOfTokens",
             .live = "term { gradient_attention { pair { student: 'conv1' teacher: 'embed' } } }",
             .store = "map: 'embed'",
             .teacher = "vit { patch: 8 width: 12 depth: 1 heads: 1 }",
             .faults = {"$:6:82: stage \"targets\": store.map[0]: the teacher's tap \"embed\" [2,17,12] has no maps; "
                        "choose one that is [B,C,H,W]",
                        "$:8:15: stage \"live\": objective.term[0]: the teacher's tap \"embed\" [2,17,12] has no maps; "
                        "choose one that is [B,C,H,W]"}},
        Case{.name = "NoDistillationToken",
             .live = "term { distillation_token { soft {} } }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: distillation_token: logits of the student's "
                        "distillation token nothing and of the teacher [2,100] must both be [B,K]; choose a student "
                        "with a distillation token"}},
        Case{.name = "TooFewClasses",
             .live = "term { top_k_cross_entropy { k: 101 } }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: top_k_cross_entropy: k = 101 is more than the "
                        "classes of [2,100]; lower k"}},
        Case{.name = "GradientsOfImagesOfOtherSize",
             .live = "term { input_gradient {} }",
             .train = "augment { random_resized_crop { size: 48 } } test_augment { resize { size: 48 } } "
                      "test_augment { center_crop { size: 48 } }",
             .faults =
                 {"$:8:15: stage \"live\": objective.term[0]: input_gradient: images [2,3,48,48] and the teacher's "
                  "gradient [2,3,32,32] must both be [B,C,H,W] of one size; give the student views of the teacher's"}},
        Case{.name = "ImagesThatTheModelCannotTake",
             .live = "term { cosine_embedding {} }",
             .student = "vit { patch: 7 width: 12 depth: 1 heads: 1 }",
             .faults = {"$:8:15: stage \"live\": objective.term[0]: vit: images of 32x32 do not divide into patches of "
                        "7; height and width must be multiples of `patch`"}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace retort::pipelines
