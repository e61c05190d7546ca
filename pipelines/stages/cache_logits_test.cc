#include "retort/pipelines/stages/cache_logits.h"

#include <stdlib.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/full_like.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/dataset.h"
#include "retort/kd/targets/target_cache.h"
#include "retort/kd/targets/target_rows.h"
#include "retort/nn/build_model.h"
#include "retort/pipelines/payload/stored_targets.h"
#include "retort/pipelines/payload/trained_model.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kImages = 20;
constexpr int64_t kSide = 8;
constexpr int64_t kView = 3;

constexpr char kPipeline[] = R"(
  stage { name: "targets" cache_logits { data: "data" teacher: "teacher"
                                         store { precision: FP32 embedding: true } } }
  stage { name: "teacher" finetune { data: "data" model { light_nn { conv1: 2 conv2: 2 hidden: 4 } } } })";

// A stage of targets of which everything that it reads is there.
class CacheLogitsTest : public ::testing::Test {
 protected:
  CacheLogitsTest() {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kPipeline, &pipeline_));
    std::mt19937 random(5);
    std::vector<uint8_t> pixels(kImages * kSide * kSide * 3);
    for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random() % 256);
    std::vector<int64_t> labels(kImages);
    std::iota(labels.begin(), labels.end(), 0);
    for (int64_t& label : labels) label %= 2;
    const data::Dataset dataset =
        data::MakeDataset(std::move(pixels), std::move(labels), kSide, kSide, 3, {"first", "second"}).value();
    context_.pipeline = &pipeline_;
    context_.stage = &pipeline_.stage(0);
    context_.replicate = kView;
    context_.work_dir = NewFolder();
    context_.key = std::string(64, 'a');
    context_.stop_requested = [] { return false; };
    for (const char* const role : {"data", "teacher"}) {
      StageInput input;
      input.role = input.name = role;
      input.artifact.folder = NewFolder();
      context_.inputs.push_back(std::move(input));
    }
    EXPECT_EQ(data::WriteDataset(context_.inputs[0].artifact.File("dataset.safetensors"), {"noise", dataset, dataset}),
              absl::OkStatus());
    const config::Finetune& teacher = pipeline_.stage(1).finetune();
    const auto model = nn::BuildModel(teacher.model(), {3, kSide, kSide, 2}, /*seed=*/1, /*channels_last=*/true);
    EXPECT_EQ(SaveTrainedModel(context_.inputs[1].artifact.folder, **model, teacher.model(), dataset,
                               data::ComputeChannelStatistics(dataset), teacher.train()),
              absl::OkStatus());
  }

  static std::string NewFolder() {
    std::string folder = absl::StrCat(::testing::TempDir(), "/retort_XXXXXX");
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    return folder;
  }

  // What the stage makes.
  StoredArtifact Run() {
    const auto output = RunCacheLogits(context_);
    EXPECT_TRUE(output.ok()) << output.status();
    StoredArtifact artifact;
    artifact.folder = context_.work_dir;
    artifact.manifest.set_key(context_.key);
    for (const std::string& file : output->files) artifact.manifest.add_file()->set_name(file);
    return artifact;
  }

  config::Pipeline pipeline_;
  StageContext context_;
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
                    HasSubstr(" of 300 records differ from what the teacher says now, logits by "
                              "at most 0.25 (image 7)"),
                    HasSubstr("remove the artifact " + artifact.folder), Not(HasSubstr("embedding"))));
  Falsify(artifact, /*image=*/11, -2);
  EXPECT_THAT(std::string(VerifyTargets(context_, artifact, 300).message()),
              HasSubstr("logits by at most 2 (image 11)"));
}

}  // namespace
}  // namespace retort::pipelines
