#include "retort/pipelines/payload/trained_model.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two 8x8 images: all pixels 0 in one, all 255 in the other, so mean and standard deviation are 0.5.
data::Dataset TwoImages(int64_t channels) {
  const auto pixels = static_cast<size_t>(64 * channels);
  std::vector<uint8_t> images(2 * pixels, 0);
  std::fill(images.begin() + static_cast<int64_t>(pixels), images.end(), 255);
  auto dataset = data::MakeDataset(std::move(images), {0, 1}, 8, 8, channels, {"black", "white"});
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

config::Model SmallModel() {
  config::Model model;
  model.mutable_light_nn()->set_conv1(2);
  model.mutable_light_nn()->set_conv2(2);
  model.mutable_light_nn()->set_hidden(4);
  return model;
}

class TrainedModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    artifact_.folder = retort::testing::NewFolder();
    auto model = nn::BuildModel(SmallModel(), ShapeOf(dataset_, {}), /*seed=*/5, /*channels_last=*/true);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    ASSERT_TRUE(SaveTrainedModel(artifact_.folder, *model_, SmallModel(), dataset_,
                                 data::ComputeChannelStatistics(dataset_), {})
                    .ok());
  }

  const data::Dataset dataset_ = TwoImages(3);
  std::unique_ptr<nn::Model> model_;
  StoredArtifact artifact_;
};

TEST_F(TrainedModelTest, ComesBackAsItWas) {
  const auto trained = LoadTrainedModel(artifact_, /*channels_last=*/false);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_THAT(trained->class_names, ElementsAre("black", "white"));
  EXPECT_THAT(trained->normalization.mean, ElementsAre(0.5, 0.5, 0.5));
  EXPECT_THAT(trained->normalization.std, ElementsAre(0.5, 0.5, 0.5));
  const auto before = model_->Parameters();
  const auto after = trained->model->Parameters();
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].first, after[i].first);
    EXPECT_TRUE(before[i].second.equal(after[i].second)) << before[i].first;
  }
  EXPECT_TRUE(CheckFits(*trained, dataset_, trained->test_views).ok());
}

TEST_F(TrainedModelTest, OtherImagesDoNotFit) {
  const auto trained = LoadTrainedModel(artifact_, /*channels_last=*/true);
  ASSERT_TRUE(trained.ok()) << trained.status();
  const absl::Status status = CheckFits(*trained, TwoImages(1), trained->test_views);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("3x8x8 and 2 classes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("1x8x8 and 2 classes"));
}

TEST_F(TrainedModelTest, OtherClassesDoNotFit) {
  const auto trained = LoadTrainedModel(artifact_, /*channels_last=*/true);
  ASSERT_TRUE(trained.ok()) << trained.status();
  data::Dataset others = TwoImages(3);
  others.class_names[1] = "grey";
  const absl::Status status = CheckFits(*trained, others, trained->test_views);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("class 1 of the model is \"white\", of the data set \"grey\""));
  EXPECT_FALSE(TeacherViews(*trained, others, {}).ok());
}

config::Training SizedTraining(int size) {
  config::Training train;
  train.add_test_augment()->mutable_resize()->set_size(size);
  train.add_test_augment()->mutable_center_crop()->set_size(size);
  return train;
}

// A model of 16x16 views of 8x8 images.
class SizedModelTest : public TrainedModelTest {
 protected:
  void SetUp() override {
    TrainedModelTest::SetUp();
    const config::Training train = SizedTraining(16);
    const data::ViewPlan views = TestViews(train.test_augment()).value();
    model_ = nn::BuildModel(SmallModel(), ShapeOf(dataset_, views), /*seed=*/5, /*channels_last=*/true).value();
    ASSERT_TRUE(SaveTrainedModel(artifact_.folder, *model_, SmallModel(), dataset_,
                                 data::ComputeChannelStatistics(dataset_), train)
                    .ok());
    auto trained = LoadTrainedModel(artifact_, true);
    ASSERT_TRUE(trained.ok()) << trained.status();
    trained_ = *std::move(trained);
  }

  TrainedModel trained_;
};

TEST_F(SizedModelTest, KeepsHowItIsEvaluated) {
  EXPECT_EQ(trained_.shape.height, 16);
  EXPECT_TRUE(CheckFits(trained_, dataset_, trained_.test_views).ok());
  EXPECT_THAT(std::string(CheckFits(trained_, dataset_, {}).message()), HasSubstr("the model takes 3x16x16"));
}

TEST_F(SizedModelTest, SeesTheStudentsBoxesAtItsOwnSize) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_random_resized_crop()->set_size(12);
  const data::ViewPlan student = data::ViewPlan::Create(steps, 3).value();
  const absl::optional<data::ViewPlan> teacher = TeacherViews(trained_, dataset_, student).value();
  ASSERT_TRUE(teacher.has_value());
  EXPECT_EQ(teacher->SizeOf({8, 8}).height, 16);
  EXPECT_EQ(teacher->crop()->Draw(1, 4, 8, 8).left, student.crop()->Draw(1, 4, 8, 8).left);
  EXPECT_EQ(teacher->crop()->Draw(1, 4, 8, 8).width, student.crop()->Draw(1, 4, 8, 8).width);
}

TEST_F(SizedModelTest, SeesTheStudentsViewsWhereTheyFit) {
  google::protobuf::RepeatedPtrField<config::AugmentStep> steps;
  steps.Add()->mutable_random_resized_crop()->set_size(16);
  EXPECT_FALSE(TeacherViews(trained_, dataset_, data::ViewPlan::Create(steps, 3).value()).value().has_value());
}

TEST_F(SizedModelTest, CannotSeeViewsThatHaveTheSizeOfTheImages) {
  const absl::Status status = TeacherViews(trained_, dataset_, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("begin their steps with random_resized_crop"));
}

TEST_F(TrainedModelTest, ADescriptionThatIsNoneIsDataLoss) {
  std::ofstream(artifact_.folder + "/model.textproto") << "model { no_such_family { } }";
  const auto trained = LoadTrainedModel(artifact_, true);
  EXPECT_EQ(trained.status().code(), absl::StatusCode::kDataLoss);
}

TEST(ResolveNormalization, OneNumberAChannel) {
  config::Normalization config;
  config.add_mean(0.25);
  config.add_std(0.5);
  const auto given = ResolveNormalization(config, TwoImages(1));
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_THAT(given->mean, ElementsAre(0.25));
  EXPECT_THAT(given->std, ElementsAre(0.5));
  const auto wrong = ResolveNormalization(config, TwoImages(3));
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("3 channels"));
}

}  // namespace
}  // namespace retort::pipelines
