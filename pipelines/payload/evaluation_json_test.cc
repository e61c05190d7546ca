#include "retort/pipelines/payload/evaluation_json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"

namespace retort::pipelines {
namespace {

// Three images of "cat", of which two are taken for cats, one of "dog", taken for a cat, and none of "owl".
TEST(WriteEvaluation, CountsEveryClass) {
  kd::Evaluation evaluation;
  evaluation.images = 4;
  evaluation.accuracy = 0.5;
  evaluation.loss = 1.25;
  evaluation.confusion = {2, 1, 0,  //
                          1, 0, 0,  //
                          0, 0, 0};
  const std::string path = testing::TempDir() + "/evaluation.json";
  ASSERT_TRUE(WriteEvaluation(path, evaluation, {"cat", "dog", "owl"}).ok());
  const auto text = data::ReadFile(path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(nlohmann::json::parse(*text), nlohmann::json::parse(R"({
    "images": 4, "accuracy": 0.5, "loss": 1.25,
    "classes": [{"name": "cat", "images": 3, "accuracy": 0.6666666666666666},
                {"name": "dog", "images": 1, "accuracy": 0.0},
                {"name": "owl", "images": 0}],
    "confusion": [[2, 1, 0], [1, 0, 0], [0, 0, 0]]})"));
}

TEST(WriteEvaluation, AFolderThatIsNotThereIsNamed) {
  kd::Evaluation evaluation;
  const absl::Status status = WriteEvaluation("/nowhere/evaluation.json", evaluation, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace retort::pipelines
