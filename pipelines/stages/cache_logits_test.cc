#include "retort/pipelines/stages/cache_logits.h"

#include <cstdint>
#include <memory>
#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/full_like.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/kd/targets/target_cache.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/pipelines/payload/stored_targets.h"
#include "retort/pipelines/stages/testing/stage_room.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kImages;
using ::testing::Not;
using testing::StageRoom;

constexpr int64_t kView = 3;

constexpr char kPipeline[] = R"(
  stage { name: "targets" cache_logits { data: "data" teacher: "teacher"
                                         store { precision: FP32 embedding: true } } }
  stage { name: "teacher" finetune { data: "data" model { light_nn { conv1: 2 conv2: 2 hidden: 4 } } } })";

class CacheLogitsTest : public ::testing::Test {
 protected:
  CacheLogitsTest() { context_.replicate = kView; }

  StoredArtifact Run() {
    const auto output = RunCacheLogits(context_);
    EXPECT_TRUE(output.ok()) << output.status();
    return StageRoom::ArtifactOf(context_, *output);
  }

  const StageRoom room_ = StageRoom(kPipeline);
  StageContext context_ = room_.Context(0);
};

// Writes the artifact's only shard anew, with `more` on one logit of `image`: checksums are right.
void Falsify(const StoredArtifact& artifact, int64_t image, double more) {
  const kd::TargetCache::View view = StoredView(artifact, kView).value();
  ASSERT_EQ(view.shards.size(), 1u);
  kd::Targets targets;
  const at::Tensor labels = at::arange(kImages).remainder(2);
  kd::ShardPlace place = {view.identity, kView, 0, kImages};
  std::unique_ptr<kd::TargetShardBuilder> builder;
  {
    const kd::TargetCache cache = kd::TargetCache::Open({view}).value();
    targets = cache.Gather(at::full_like(labels, 0), at::arange(kImages), kd::RequestFor(cache.contents())).value();
    builder = std::make_unique<kd::TargetShardBuilder>(cache.contents(), place);
  }
  targets.logits[image][1] += more;
  ASSERT_EQ(builder->Append(targets, labels), absl::OkStatus());
  ASSERT_EQ(builder->Write(view.shards[0]), absl::OkStatus());
  ASSERT_TRUE(kd::CheckShard(view.shards[0], place).ok());
}

TEST_F(CacheLogitsTest, VerifyFindsNothingInWhatWasJustMade) {
  EXPECT_EQ(VerifyTargets(context_, Run(), 300), absl::OkStatus());
}

TEST_F(CacheLogitsTest, VerifyNamesViewImageAndSizeOfADifference) {
  const StoredArtifact artifact = Run();
  Falsify(artifact, /*image=*/7, 0.25);
  // 300 draws of 20 images.
  const absl::Status status = VerifyTargets(context_, artifact, 300);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("view 3: "),
                    HasSubstr(" of 300 records differ from what the teacher says now by more than the rounding of FP32 "
                              "and of its own sums, logits by at most 0.25 (image 7)"),
                    HasSubstr("remove the artifact " + artifact.folder), Not(HasSubstr("embedding"))));
  Falsify(artifact, /*image=*/11, -2);
  EXPECT_THAT(std::string(VerifyTargets(context_, artifact, 300).message()),
              HasSubstr("logits by at most 2 (image 11)"));
}

// A transformer's numbers depend on how many images stand beside in the batch: 20 when it is stored, others later.
class TransformerTest : public ::testing::TestWithParam<std::string> {};

TEST_P(TransformerTest, VerifyForgivesRoundingAndNothingElse) {
  const StageRoom room(absl::StrCat(R"(
    stage { name: "targets" cache_logits { data: "data" teacher: "teacher"
                                           store { )",
                                    GetParam(), R"( input_gradient: true embedding: true } } }
    stage { name: "teacher" finetune { data: "data" model { vit { patch: 2 width: 48 depth: 3 heads: 3 } } } })"));
  StageContext context = room.Context(0);
  context.replicate = kView;
  const auto output = RunCacheLogits(context);
  ASSERT_TRUE(output.ok()) << output.status();
  const StoredArtifact artifact = StageRoom::ArtifactOf(context, *output);
  for (const int64_t records : {3, 9, 300}) {
    EXPECT_EQ(VerifyTargets(context, artifact, records), absl::OkStatus()) << records;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TransformerTest,
                         ::testing::Values("precision: FP32", "precision: FP16", "precision: BF16", "precision: INT8",
                                           "precision: FP16 top_k: 1"));

}  // namespace
}  // namespace retort::pipelines
