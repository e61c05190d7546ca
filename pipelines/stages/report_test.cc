#include "retort/pipelines/stages/report.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/testing/new_folder.h"

namespace retort::pipelines {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Two data sets of one source, and one that no run was measured on.
constexpr char kPipeline[] = R"(
  name: "reported"
  stage { name: "images" ingest { procedural { train_size: 50 test_size: 20 } } }
  stage { name: "others" ingest { procedural { train_size: 60 test_size: 30 } } }
  stage { name: "unused" ingest { cifar10 { } } }
  stage { name: "net" finetune { data: "images" model { light_nn { } } } }
  stage { name: "on_training" evaluate { model: "net" data: "images" split: TRAIN } }
  stage { name: "on_test" evaluate { model: "net" data: "images" } }
  stage { name: "on_others" evaluate { model: "net" data: "others" } }
  stage { name: "results" report { run: "net" } })";

class ReportStageTest : public ::testing::Test {
 protected:
  ReportStageTest() {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kPipeline, &pipeline_));
    context_.pipeline = &pipeline_;
    context_.stage = &pipeline_.stage(7);
    context_.work_dir = retort::testing::NewFolder();
  }

  // A run of stage `number`, measured on `images` of the data set whose key begins with `key`.
  void Add(int number, const std::string& key, double images) {
    StageInput input;
    input.role = "run";
    input.config = &pipeline_.stage(number);
    input.name = input.config->name();
    input.artifact.folder = retort::testing::NewFolder();
    EXPECT_EQ(data::WriteFileAtomically(input.artifact.File("metrics.jsonl"), ""), absl::OkStatus());
    EXPECT_EQ(data::WriteFileAtomically(input.artifact.File("evaluation.json"),
                                        R"({"classes": [{"name": "a"}, {"name": "b"}], "confusion": [[3, 1], [0, 4]],
                                            "calibration": [{"images": 8, "correct": 7, "confidence": 6}]})"),
              absl::OkStatus());
    input.artifact.manifest.set_seconds(10);
    config::Artifact::Input* const from = input.artifact.manifest.add_input();
    from->set_role("data");
    from->set_key(key + std::string(56, '0'));
    for (const auto& [name, value] : {std::pair("images", images),
                                      {"accuracy", 0.5},
                                      {"loss", 1.0},
                                      {"ece", 0.25},
                                      {"parameters", 100.0},
                                      {"macs", 2e6},
                                      {"trained_images", 500.0}}) {
      config::Artifact::Metric* const metric = input.artifact.manifest.add_metric();
      metric->set_name(name);
      metric->set_value(value);
    }
    context_.inputs.push_back(std::move(input));
  }

  nlohmann::json Results() {
    const auto output = RunReport(context_);
    EXPECT_TRUE(output.ok()) << output.status();
    return nlohmann::json::parse(*data::ReadFile(context_.work_dir + "/results.json"));
  }

  config::Pipeline pipeline_;
  StageContext context_;
};

TEST_F(ReportStageTest, EachRowSaysWhatItWasMeasuredOn) {
  Add(3, "11111111", 20);
  Add(4, "11111111", 50);
  Add(5, "11111111", 20);
  Add(6, "22222222", 30);
  std::vector<std::string> images;
  const nlohmann::json results = Results();
  for (const auto& run : results["runs"]) {
    const auto& on = run["images"];
    images.push_back(on["dataset"].get<std::string>() + " " + on["split"].get<std::string>() + " " +
                     on["count"].dump());
  }
  EXPECT_THAT(images, ElementsAre("procedural 11111111 test 20", "procedural 11111111 training 50",
                                  "procedural 11111111 test 20", "procedural 22222222 test 30"));
}

TEST_F(ReportStageTest, ReadsCostsAndClassesOfAllReplicates) {
  Add(3, "11111111", 20);
  Add(3, "11111111", 20);
  const nlohmann::json run = Results()["runs"][0];
  EXPECT_EQ(run["macs"], 2e6);
  EXPECT_EQ(run["images_per_second"]["mean"], 50);
  EXPECT_EQ(run["confusion"], nlohmann::json::parse("[[6, 2], [0, 8]]"));
  EXPECT_EQ(run["calibration"], nlohmann::json::parse(R"([{"images": 16, "accuracy": 0.875, "confidence": 0.75}])"));
  EXPECT_EQ(run["classes"],
            nlohmann::json::parse(
                R"([{"name": "a", "images": 8, "accuracy": 0.75}, {"name": "b", "images": 8, "accuracy": 1.0}])"));
  EXPECT_THAT(*data::ReadFile(context_.work_dir + "/results.md"),
              HasSubstr("| net | 100 | 1.00 | 2.00 | 10.0 | 50.0 |"));
}

TEST_F(ReportStageTest, DataThatNoRunWasMeasuredOnIsNotNamed) {
  Add(3, "11111111", 20);
  EXPECT_EQ(Results()["runs"][0]["images"]["dataset"], "procedural");
  const std::string table = *data::ReadFile(context_.work_dir + "/table.txt");
  EXPECT_THAT(table, HasSubstr("reported: procedural, 20 test images\n"));
  EXPECT_THAT(table, Not(HasSubstr("cifar10")));
  const std::string page = *data::ReadFile(context_.work_dir + "/report.html");
  EXPECT_THAT(page, AllOf(HasSubstr("train_size: 50"), Not(HasSubstr("train_size: 60")), Not(HasSubstr("cifar10"))));
}

}  // namespace
}  // namespace retort::pipelines
