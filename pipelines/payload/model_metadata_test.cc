#include "retort/pipelines/payload/model_metadata.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

using ::testing::HasSubstr;

config::TrainedModel Description() {
  config::TrainedModel description;
  description.mutable_model()->mutable_light_nn()->set_hidden(20);
  description.set_channels(3);
  description.set_height(32);
  description.set_width(48);
  description.add_class_name("cat");
  description.add_class_name("a \"dog\"");
  for (const double mean : {0.1, 0.25, 0.5}) description.mutable_normalize()->add_mean(mean);
  for (const double std : {0.2, 0.3, 1.0 / 3}) description.mutable_normalize()->add_std(std);
  description.add_test_augment()->mutable_resize()->set_size(64);
  description.add_test_augment()->mutable_center_crop()->set_size(48);
  return description;
}

TEST(ModelMetadataTest, IsWrittenAsTheHeaderSays) {
  const std::map<std::string, std::string> metadata = ModelMetadata(Description());
  EXPECT_THAT(metadata.at("retort.model"), HasSubstr("light_nn { hidden: 20 }"));
  EXPECT_EQ(metadata.at("retort.image_shape"), "[3,32,48]");
  EXPECT_EQ(metadata.at("retort.class_names"), R"(["cat","a \"dog\""])");
  EXPECT_EQ(metadata.at("retort.mean"), "[0.1,0.25,0.5]");
  EXPECT_THAT(metadata.at("retort.test_augment"),
              HasSubstr("test_augment { resize { size: 64 } } test_augment { center_crop { size: 48 } }"));
  config::TrainedModel of_images = Description();
  of_images.clear_test_augment();
  EXPECT_EQ(ModelMetadata(of_images).count("retort.test_augment"), 0u);
}

TEST(ModelMetadataTest, IsReadBack) {
  EXPECT_EQ(ReadModelMetadata(ModelMetadata(Description())).value().SerializeAsString(),
            Description().SerializeAsString());
}

TEST(ModelMetadataTest, RefusesWhatIsNotItsOwn) {
  EXPECT_EQ(ReadModelMetadata({{"format", "pt"}}).status().code(), absl::StatusCode::kNotFound);
  const std::pair<const char*, const char*> faults[] = {{"retort.model", "light_nn {"},
                                                        {"retort.image_shape", "[3,32]"},
                                                        {"retort.image_shape", "[3,-1,32]"},
                                                        {"retort.image_shape", "[3,4e9,32]"},
                                                        {"retort.image_shape", "[3,4000000000,32]"},
                                                        {"retort.class_names", "[1]"},
                                                        {"retort.class_names", "\"cat\""},
                                                        {"retort.test_augment", "test_augment { no_such {} }"},
                                                        {"retort.mean", "[\"x\"]"},
                                                        {"retort.std", "[0.1"}};
  for (const auto& [key, value] : faults) {
    std::map<std::string, std::string> metadata = ModelMetadata(Description());
    metadata[key] = value;
    const absl::Status status = ReadModelMetadata(metadata).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << key << " " << value;
    EXPECT_THAT(std::string(status.message()), HasSubstr(key));
  }
}

}  // namespace
}  // namespace retort::pipelines
