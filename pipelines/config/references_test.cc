#include "retort/pipelines/config/references.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

using ::testing::ElementsAre;

constexpr char kPipeline[] = R"(
  name: "test" seed: 7 deployment { store: "somewhere" }
  stage { name: "data" ingest { } }
  stage { name: "unused" ingest { } }
  stage { name: "teacher" finetune { data: "data" } }
  stage { name: "second" finetune { data: "data" } }
  stage { name: "views" augment { data: "data" } }
  stage { name: "targets" cache_logits { views: "views" teacher: ["teacher", "second"] } }
  stage { name: "student" distill { targets: "targets" } }
  stage { name: "files" export { model: "student" } })";

std::vector<std::string> Names(const config::Pipeline& pipeline) {
  std::vector<std::string> names;
  for (const config::Stage& stage : pipeline.stage()) names.push_back(stage.name());
  return names;
}

class ReferencesTest : public ::testing::Test {
 protected:
  ReferencesTest() { EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kPipeline, &pipeline_)); }
  config::Pipeline pipeline_;
};

TEST_F(ReferencesTest, AreNamedWithTheirFields) {
  std::vector<std::string> all;
  for (const Reference& reference : References(KindMessage(pipeline_.stage(5)))) {
    all.push_back(reference.role + " " + reference.name);
  }
  EXPECT_THAT(all, ElementsAre("views views", "teacher teacher", "teacher second"));
  EXPECT_TRUE(References(KindMessage(pipeline_.stage(0))).empty());
}

TEST_F(ReferencesTest, PipelineBehindHasWhatAStageIsMadeFrom) {
  const config::Pipeline student = PipelineBehind(pipeline_, "student");
  EXPECT_THAT(Names(student), ElementsAre("data", "teacher", "second", "views", "targets", "student"));
  EXPECT_EQ(student.name(), "test");
  EXPECT_EQ(student.seed(), 7u);
  EXPECT_FALSE(student.has_deployment());
  EXPECT_THAT(Names(PipelineBehind(pipeline_, "second")), ElementsAre("data", "second"));
}

}  // namespace
}  // namespace retort::pipelines
