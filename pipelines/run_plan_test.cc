#include "retort/pipelines/run_plan.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/pipelines/plan.h"
#include "retort/pipelines/store/artifact_store.h"
#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Its maps are 1x1 in the end.
constexpr char kBatchNorm[] = R"(
  name: "single"
  stage { name: "images" ingest { procedural { train_size: 33 test_size: 10 } } }
  stage { name: "net" finetune {
    data: "images" model { mobilenet_v2 {} } objective { term { cross_entropy {} } }
    train { epochs: 1 batch_size: 32 optimizer { sgd {} } } } })";

TEST(RunPlan, AnExceptionOfAStageIsAStatus) {
  config::Pipeline pipeline;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kBatchNorm, &pipeline));
  const Plan plan = MakePlan(pipeline, /*data_dir=*/"").value();
  const ArtifactStore store = ArtifactStore::Open(retort::testing::NewFolder()).value();
  const absl::Status status =
      RunPlan(plan, {1}, store, {.data_dir = "", .verify_targets = 0, .stop_requested = [] { return false; }}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("stage \"net\": "), HasSubstr("choose a batch_size")));
}

}  // namespace
}  // namespace retort::pipelines
