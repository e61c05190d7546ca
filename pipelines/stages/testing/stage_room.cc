#include "retort/pipelines/stages/testing/stage_room.h"

#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "retort/data/dataset.h"
#include "retort/nn/build_model.h"
#include "retort/pipelines/payload/trained_model.h"
#include "retort/testing/new_folder.h"

namespace retort::pipelines::testing {
namespace {

using retort::testing::NewFolder;

constexpr int64_t kSide = 8;

data::Dataset Noise() {
  std::mt19937 random(5);
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kImages; ++i) {
    labels.push_back(i % 2);
    for (int64_t p = 0; p < kSide * kSide * 3; ++p) pixels.push_back(static_cast<uint8_t>(random() % 256));
  }
  return data::MakeDataset(std::move(pixels), std::move(labels), kSide, kSide, 3, {"first", "second"}).value();
}

}  // namespace

StageRoom::StageRoom(const std::string& pipeline) {
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(pipeline, &pipeline_)) << pipeline;
  const data::Dataset dataset = Noise();
  data_.folder = NewFolder();
  EXPECT_EQ(data::WriteDataset(data_.File("dataset.safetensors"), {"noise", dataset, dataset}), absl::OkStatus());
  for (const config::Stage& stage : pipeline_.stage()) {
    if (stage.name() != "teacher") continue;
    teacher_.folder = NewFolder();
    config::Artifact::Metric* const accuracy = teacher_.manifest.add_metric();
    accuracy->set_name("accuracy");
    accuracy->set_value(0.5);
    const config::Finetune& teacher = stage.finetune();
    const auto model = nn::BuildModel(teacher.model(), {3, kSide, kSide, 2}, /*seed=*/1, /*channels_last=*/true);
    EXPECT_EQ(SaveTrainedModel(teacher_.folder, **model, teacher.model(), dataset,
                               data::ComputeChannelStatistics(dataset), teacher.train()),
              absl::OkStatus());
  }
}

StageContext StageRoom::Context(int stage) const {
  StageContext context;
  context.pipeline = &pipeline_;
  context.stage = &pipeline_.stage(stage);
  context.work_dir = NewFolder();
  context.key = std::string(64, 'a');
  context.stop_requested = [] { return false; };
  for (const auto& [role, artifact] : {std::pair("data", &data_), std::pair("teacher", &teacher_)}) {
    StageInput input;
    input.role = input.name = role;
    input.artifact = *artifact;
    context.inputs.push_back(std::move(input));
  }
  return context;
}

StoredArtifact StageRoom::ArtifactOf(const StageContext& context, const StageOutput& output) {
  StoredArtifact artifact;
  artifact.folder = context.work_dir;
  artifact.manifest.set_key(context.key);
  for (const std::string& file : output.files) artifact.manifest.add_file()->set_name(file);
  for (const StageOutput::Metric& metric : output.metrics) {
    config::Artifact::Metric* const stored = artifact.manifest.add_metric();
    stored->set_name(metric.name);
    stored->set_value(metric.value);
  }
  return artifact;
}

}  // namespace retort::pipelines::testing
