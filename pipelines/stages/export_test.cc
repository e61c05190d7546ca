#include "retort/pipelines/stages/export.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
#include "retort/data/io/safetensors.h"
#include "retort/pipelines/stages/distill.h"
#include "retort/pipelines/stages/testing/stage_room.h"

namespace retort::pipelines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Ne;
using ::testing::Not;
using testing::StageRoom;

// A student of this term, its teacher, and its export.
std::string Pipeline(const std::string& term) {
  return absl::StrCat(
      R"(stage { name: "student" distill {
           data: "data" teacher: "teacher" model { light_nn { conv1: 2 conv2: 3 hidden: 4 } }
           objective { term { )",
      term, R"( { pair { student: "features" teacher: "features" } } } }
           train { epochs: 1 batch_size: 8 optimizer { sgd { learning_rate: 0.1 } } } } }
         stage { name: "teacher" finetune { data: "data" model { light_nn { conv1: 2 conv2: 8 hidden: 4 } } } }
         stage { name: "files" export { model: "student" safetensors {} } })");
}

struct Made {
  StoredArtifact student, files;
};

Made Make(const std::string& term) {
  const StageRoom room(Pipeline(term));
  const StageContext distill = room.Context(0);
  const auto trained = RunDistill(distill);
  EXPECT_TRUE(trained.ok()) << trained.status();
  Made made;
  made.student = StageRoom::ArtifactOf(distill, *trained);
  StageContext context = room.Context(2);
  StageInput model;
  model.role = "model";
  model.name = "student";
  model.artifact = made.student;
  context.inputs.push_back(model);
  const auto exported = RunExport(context);
  EXPECT_TRUE(exported.ok()) << exported.status();
  made.files = StageRoom::ArtifactOf(context, *exported);
  return made;
}

std::vector<std::string> Names(const StoredArtifact& artifact) {
  std::vector<std::string> names;
  for (const config::Artifact::File& file : artifact.manifest.file()) names.push_back(file.name());
  return names;
}

TEST(ExportTest, KeepsTheProjectorOfSimKd) {
  const Made made = Make("sim_kd");
  EXPECT_THAT(Names(made.student), Contains("projector.safetensors"));
  EXPECT_THAT(Names(made.files), ElementsAre("model.safetensors", "projector.safetensors"));
  const std::string path = made.files.File("projector.safetensors");
  EXPECT_EQ(*data::ReadFile(path), *data::ReadFile(made.student.File("projector.safetensors")));
  const auto file = data::SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("sim_kd.student_tap"), "features");
  EXPECT_EQ(file->metadata().at("sim_kd.teacher_tap"), "features");
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const data::TensorView& tensor : file->tensors()) shapes[tensor.name] = tensor.shape;
  EXPECT_THAT(shapes["sim_kd.first.weight"], ElementsAre(4, 3, 1, 1));
  EXPECT_THAT(shapes["sim_kd.second.weight"], ElementsAre(4, 4, 3, 3));
  EXPECT_THAT(shapes["sim_kd.third.weight"], ElementsAre(8, 4, 1, 1));
  EXPECT_THAT(shapes["sim_kd.third_norm.running_var"], ElementsAre(8));
  // Zero before the training.
  EXPECT_THAT(file->Find("sim_kd.first_norm.running_mean")->bytes, Contains(Ne(0)));
}

TEST(ExportTest, LeavesOutWhatOtherTermsLearn) {
  const Made made = Make("vid");
  EXPECT_THAT(Names(made.student), Not(Contains("projector.safetensors")));
  EXPECT_THAT(Names(made.files), ElementsAre("model.safetensors"));
}

}  // namespace
}  // namespace retort::pipelines
