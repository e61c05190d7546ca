#include "retort/pipelines/plan.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPipeline[] = R"(
  name: "test" seed: 7
  stage { name: "data" ingest { procedural { } } }
  stage { name: "teacher" finetune { data: "data" model { deep_nn { } } objective { term { cross_entropy { } } }
                                     train { optimizer { adam { } } } } }
  stage { name: "views" augment { data: "data" count: 2 step { flip { } } } }
  stage { name: "targets" cache_logits { views: "views" teacher: "teacher" } }
  stage { name: "baseline" distill { data: "data" model { light_nn { } } objective { term { cross_entropy { } } }
                                     train { optimizer { adam { } } } } }
  stage { name: "student" distill { targets: "targets" model { light_nn { } } objective { term { distill { } } }
                                    train { optimizer { adam { } } } replicates: 2 } }
  stage { name: "check" evaluate { model: "student" data: "data" } }
  stage { name: "results" report { run: "baseline" run: "student" run: "check" } }
)";

config::Pipeline Parse(const std::string& text) {
  config::Pipeline pipeline;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &pipeline));
  return pipeline;
}

Plan PlanOf(const config::Pipeline& pipeline) {
  auto plan = MakePlan(pipeline, "/nowhere");
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

std::map<std::string, std::string> Keys(const Plan& plan) {
  std::map<std::string, std::string> keys;
  for (const PlannedStage& stage : plan.stages) keys[stage.name] = stage.key;
  return keys;
}

std::vector<std::string> Names(const Plan& plan, const std::vector<size_t>& stages) {
  std::vector<std::string> names;
  for (const size_t i : stages) names.push_back(plan.stages[i].name);
  return names;
}

// Names of the stages whose key differs between the two pipelines.
std::vector<std::string> Changed(const config::Pipeline& a, const config::Pipeline& b) {
  const auto before = Keys(PlanOf(a));
  std::vector<std::string> changed;
  for (const auto& [name, key] : Keys(PlanOf(b))) {
    if (before.count(name) == 0 || before.at(name) != key) changed.push_back(name);
  }
  return changed;
}

TEST(MakePlan, ExpandsReplicatesAndConnectsInputs) {
  const Plan plan = PlanOf(Parse(kPipeline));
  std::vector<size_t> all(plan.stages.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  EXPECT_THAT(Names(plan, all), ElementsAre("data", "teacher", "views", "targets/0", "targets/1", "baseline",
                                            "student/0", "student/1", "check/0", "check/1", "results"));
  std::map<std::string, std::vector<std::string>> inputs;
  for (const PlannedStage& stage : plan.stages) {
    for (const PlannedStage::Input& input : stage.inputs) {
      inputs[stage.name].push_back(input.role + "=" + plan.stages[input.stage].name);
    }
  }
  EXPECT_THAT(inputs["targets/1"], ElementsAre("views=views", "data=data", "teacher=teacher"));
  EXPECT_THAT(inputs["student/1"], ElementsAre("targets=targets/0", "targets=targets/1", "views=views", "data=data"));
  EXPECT_THAT(inputs["check/1"], ElementsAre("model=student/1", "data=data"));
  EXPECT_THAT(inputs["results"],
              ElementsAre("run=baseline", "run=student/0", "run=student/1", "run=check/0", "run=check/1"));
  EXPECT_EQ(plan.stages[7].seed, 8u);
}

TEST(MakePlan, AnExportTakesEachReplicateAndTheImagesItWasTrainedOn) {
  const Plan plan =
      PlanOf(Parse(absl::StrCat(kPipeline,
                                "stage { name: 'files' export { model: 'student' onnx { } } }"
                                "stage { name: 'teacher_file' export { model: 'teacher' safetensors { } } }")));
  ASSERT_EQ(plan.stages.size(), 14u);
  std::vector<std::string> inputs;
  for (size_t i = 11; i < 14; ++i) {
    for (const PlannedStage::Input& input : plan.stages[i].inputs) {
      inputs.push_back(absl::StrCat(plan.stages[i].name, ": ", input.role, "=", plan.stages[input.stage].name));
    }
  }
  EXPECT_THAT(inputs, ElementsAre("files/0: model=student/0", "files/0: data=data", "files/1: model=student/1",
                                  "files/1: data=data", "teacher_file: model=teacher", "teacher_file: data=data"));
}

TEST(MakePlan, AKeyChangesWithWhatItDependsOnAndNothingElse) {
  const config::Pipeline before = Parse(kPipeline);
  config::Pipeline after = before;
  after.mutable_stage(1)->mutable_finetune()->mutable_train()->set_epochs(11);
  EXPECT_THAT(Changed(before, after), ElementsAre("check/0", "check/1", "results", "student/0", "student/1",
                                                  "targets/0", "targets/1", "teacher"));

  after = before;
  after.mutable_stage(5)->mutable_distill()->set_replicates(3);
  EXPECT_THAT(Changed(before, after), ElementsAre("check/2", "results", "student/2"));

  // A further view is an artifact beside those there are, which every student that may see it has as an input.
  after = before;
  after.mutable_stage(2)->mutable_augment()->set_count(3);
  EXPECT_THAT(Changed(before, after),
              ElementsAre("check/0", "check/1", "results", "student/0", "student/1", "targets/2"));

  after = before;
  after.mutable_stage(5)->mutable_distill()->mutable_model()->mutable_light_nn()->set_conv1(9);
  EXPECT_THAT(Changed(before, after), ElementsAre("check/0", "check/1", "results", "student/0", "student/1"));

  after = before;
  after.mutable_stage(3)->mutable_cache_logits()->mutable_store()->set_precision(config::StoredTargets::INT8);
  EXPECT_THAT(Changed(before, after),
              ElementsAre("check/0", "check/1", "results", "student/0", "student/1", "targets/0", "targets/1"));

  after = before;
  after.mutable_deployment()->set_store("/elsewhere");
  EXPECT_THAT(Changed(before, after), ElementsAre());

  after = before;
  after.mutable_numerics()->set_threads(1);
  EXPECT_THAT(Changed(before, after), ElementsAre("baseline", "check/0", "check/1", "results", "student/0", "student/1",
                                                  "targets/0", "targets/1", "teacher"));

  after = before;
  after.set_seed(9);
  EXPECT_THAT(Changed(before, after), ElementsAre("baseline", "check/0", "check/1", "results", "student/0", "student/1",
                                                  "targets/0", "targets/1", "teacher", "views"));

  // A default that is written out is no change.
  after = before;
  after.mutable_stage(1)->mutable_finetune()->mutable_train()->set_epochs(10);
  EXPECT_THAT(Changed(before, after), ElementsAre());
}

TEST(MakePlan, ANewNameOfAStageChangesOnlyTheReport) {
  std::string renamed = kPipeline;
  for (size_t at; (at = renamed.find("\"teacher\"")) != std::string::npos;) renamed.replace(at, 9, "\"deep\"");
  const auto before = Keys(PlanOf(Parse(kPipeline)));
  const auto after = Keys(PlanOf(Parse(renamed)));
  EXPECT_EQ(before.at("teacher"), after.at("deep"));
  EXPECT_EQ(before.at("student/0"), after.at("student/0"));
}

// Its page shows them.
TEST(MakePlan, AReportKnowsTheConfigBehindIt) {
  const config::Pipeline pipeline =
      Parse(absl::StrCat(kPipeline, R"( stage { name: "spare" ingest { procedural { } } })"));
  config::Pipeline other = pipeline;
  other.mutable_stage(other.stage_size() - 1)->mutable_ingest()->mutable_procedural()->set_train_size(50);
  other.mutable_deployment()->set_store("elsewhere");
  EXPECT_THAT(Changed(pipeline, other), ElementsAre("spare"));
  other.mutable_stage(2)->set_name("other_views");
  for (config::Stage& stage : *other.mutable_stage()) {
    if (stage.name() == "targets") stage.mutable_cache_logits()->set_views("other_views");
  }
  EXPECT_THAT(Changed(pipeline, other), Contains("results"));
}

TEST(MakePlan, MissingDataFilesAreNamed) {
  config::Pipeline pipeline = Parse(kPipeline);
  pipeline.mutable_stage(0)->mutable_ingest()->mutable_cifar10();
  const auto plan = MakePlan(pipeline, "/nowhere");
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("/nowhere"));
}

TEST(Goals, AreTheStagesOfAKindAndTheReportsThatTheyComplete) {
  const Plan plan = PlanOf(Parse(kPipeline));
  const auto distill = Goals(plan, config::Stage::kDistill);
  ASSERT_TRUE(distill.ok());
  EXPECT_THAT(Names(plan, *distill), ElementsAre("baseline", "student/0", "student/1", "results"));
  const auto finetune = Goals(plan, config::Stage::kFinetune);
  ASSERT_TRUE(finetune.ok());
  EXPECT_THAT(Names(plan, *finetune), ElementsAre("teacher"));
}

TEST(Goals, AKindThatIsNotThereIsRefused) {
  config::Pipeline pipeline;
  *pipeline.add_stage() = Parse(kPipeline).stage(0);
  const auto goals = Goals(PlanOf(pipeline), config::Stage::kDistill);
  EXPECT_EQ(goals.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(goals.status().message()), HasSubstr("has no distill stage; it has: ingest"));
}

TEST(DescribePlan, SaysWhatIsMissingAndWhy) {
  const Plan plan = PlanOf(Parse(kPipeline));
  const std::string text = DescribePlan(plan, {1}, nullptr);
  EXPECT_THAT(text, HasSubstr("teacher  finetune"));
  EXPECT_THAT(text, HasSubstr("RUN   nothing of this kind is stored"));
  EXPECT_THAT(text, Not(HasSubstr("student")));
}

// Several teachers: their order decides which weight is whose, and so the key.
TEST(DescribePlan, NamesTheOrderOfInputs) {
  const auto plan_of = [](const std::string& teachers) {
    return PlanOf(Parse(absl::StrCat(kPipeline, R"(
      stage { name: "second" finetune { data: "data" model { light_nn { } } objective { term { cross_entropy { } } }
                                        train { optimizer { adam { } } } } }
      stage { name: "both" cache_logits { data: "data" teacher_weight: [3, 1] teacher: )",
                                     teachers, " } }")));
  };
  const Plan before = plan_of("['teacher', 'second']"), after = plan_of("['second', 'teacher']");
  const PlannedStage& made = before.stages.back();
  EXPECT_NE(made.key, after.stages.back().key);

  const auto store = ArtifactStore::Open(retort::testing::NewFolder());
  ASSERT_TRUE(store.ok()) << store.status();
  auto work = store->Work("cache_logits", made.key);
  ASSERT_TRUE(work.ok()) << work.status();
  config::Artifact manifest;
  manifest.set_kind("cache_logits");
  const auto published = store->Publish(*std::move(work), made.key_text, {}, manifest);
  ASSERT_TRUE(published.ok()) << published.status();
  const std::string text = DescribePlan(after, {after.stages.size() - 1}, &*store);
  EXPECT_THAT(text, HasSubstr("nearest stored one differs in: the order or the number of its inputs"));
}

}  // namespace
}  // namespace retort::pipelines
