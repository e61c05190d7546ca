#include "retort/pipelines/payload/evaluation_json.h"

#include <cmath>
#include <map>
#include <string>

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
  evaluation.ece = 0.125;
  evaluation.confusion = {2, 1, 0,  //
                          1, 0, 0,  //
                          0, 0, 0};
  evaluation.calibration = {{3, 1, 1.5}, {1, 1, 0.875}};
  const std::string path = testing::TempDir() + "/evaluation.json";
  ASSERT_TRUE(WriteEvaluation(path, evaluation, {"cat", "dog", "owl"}).ok());
  const auto text = data::ReadFile(path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(nlohmann::json::parse(*text), nlohmann::json::parse(R"({
    "images": 4, "accuracy": 0.5, "loss": 1.25, "ece": 0.125,
    "classes": [{"name": "cat", "images": 3, "accuracy": 0.6666666666666666},
                {"name": "dog", "images": 1, "accuracy": 0.0},
                {"name": "owl", "images": 0}],
    "confusion": [[2, 1, 0], [1, 0, 0], [0, 0, 0]],
    "calibration": [{"images": 3, "correct": 1, "confidence": 1.5},
                    {"images": 1, "correct": 1, "confidence": 0.875}]})"));
  const auto read = ReadEvaluation(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->class_names, testing::ElementsAre("cat", "dog", "owl"));
  EXPECT_EQ(read->confusion, evaluation.confusion);
  ASSERT_EQ(read->calibration.size(), 2u);
  EXPECT_EQ(read->calibration[0].images, 3);
  EXPECT_EQ(read->calibration[0].correct, 1);
  EXPECT_EQ(read->calibration[1].confidence, 0.875);
}

TEST(ReadEvaluation, RefusesWhatIsNone) {
  const std::string path = testing::TempDir() + "/none.json";
  for (const char* text :
       {"", "[]", "{}", R"({"classes": [{"name": "a"}]})", R"({"classes": [{"name": "a"}], "confusion": [[1, 2]]})",
        R"({"classes": [{"name": "a"}], "confusion": [["1"]]})", R"({"classes": [{"name": 1}], "confusion": [[1]]})",
        R"({"classes": ["a"], "confusion": [[1]]})",
        R"({"classes": [], "confusion": [], "calibration": [{"images": 1}]})",
        R"({"classes": [{"name": "a"}], "confusion": 1})"}) {
    ASSERT_TRUE(data::WriteFileAtomically(path, text).ok());
    EXPECT_EQ(ReadEvaluation(path).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

kd::Evaluation WithTeacher(double cka) {
  kd::Evaluation evaluation;
  evaluation.images = 1;
  evaluation.confusion = {1};
  evaluation.fidelity = kd::Fidelity{{0.75, 0.5, 0.25}, 0.875, 0.375, cka};
  return evaluation;
}

TEST(WriteEvaluation, HoldsAgainstATeacher) {
  const std::string path = testing::TempDir() + "/fidelity.json";
  ASSERT_TRUE(WriteEvaluation(path, WithTeacher(0.625), {"cat"}).ok());
  EXPECT_EQ(nlohmann::json::parse(*data::ReadFile(path))["fidelity"], nlohmann::json::parse(R"({
    "agreement": 0.875, "kl": 0.375, "cka": 0.625, "teacher": {"accuracy": 0.75, "loss": 0.5, "ece": 0.25}})"));
  ASSERT_TRUE(WriteEvaluation(path, WithTeacher(std::nan("")), {"cat"}).ok());
  EXPECT_TRUE(nlohmann::json::parse(*data::ReadFile(path))["fidelity"]["cka"].is_null());
}

TEST(EvaluationMetrics, HaveWhatIsThere) {
  using Metrics = std::map<std::string, double>;
  const auto metrics = [](const kd::Evaluation& evaluation) {
    const auto list = EvaluationMetrics(evaluation);
    return Metrics(list.begin(), list.end());
  };
  kd::Evaluation alone;
  alone.images = 4;
  alone.accuracy = 0.5;
  alone.loss = 1.25;
  alone.ece = 0.125;
  EXPECT_EQ(metrics(alone), (Metrics{{"images", 4}, {"accuracy", 0.5}, {"loss", 1.25}, {"ece", 0.125}}));
  Metrics expected = {{"images", 1},         {"accuracy", 0},      {"loss", 0},    {"ece", 0},
                      {"agreement", 0.875},  {"kl", 0.375},        {"cka", 0.625}, {"teacher_accuracy", 0.75},
                      {"teacher_loss", 0.5}, {"teacher_ece", 0.25}};
  EXPECT_EQ(metrics(WithTeacher(0.625)), expected);
  expected.erase("cka");
  EXPECT_EQ(metrics(WithTeacher(std::nan(""))), expected);
}

TEST(WriteEvaluation, AFolderThatIsNotThereIsNamed) {
  kd::Evaluation evaluation;
  const absl::Status status = WriteEvaluation("/nowhere/evaluation.json", evaluation, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace retort::pipelines
