// The real programs: two runs are trained, and compared.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/testing/new_folder.h"
#include "retort/testing/subprocess.h"

namespace retort::tools {
namespace {

using ::retort::testing::Finished;
using ::retort::testing::RunfilePath;
using ::retort::testing::RunProgram;
using ::testing::HasSubstr;

// Two runs that differ in the optimiser, one of which has a seed more; a third was measured on other images, and a
// fourth evaluates the second.
constexpr char kTiny[] = R"(
name: "tiny"
seed: 3
stage { name: "images" ingest { procedural { train_size: 600 test_size: 300 } } }
stage { name: "others" ingest { procedural { train_size: 600 test_size: 300 seed: 2 } } }
stage {
  name: "slow"
  distill {
    data: "images"
    model { light_nn { conv1: 4 conv2: 4 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 1 batch_size: 32 optimizer { adam { learning_rate: 1e-4 } } }
    replicates: 2
  }
}
stage {
  name: "fast"
  distill {
    data: "images"
    model { light_nn { conv1: 4 conv2: 4 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 3 batch_size: 32 optimizer { adam { learning_rate: 5e-3 } } }
    replicates: 3
  }
}
stage {
  name: "elsewhere"
  distill {
    data: "others"
    model { light_nn { conv1: 4 conv2: 4 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 1 batch_size: 32 optimizer { adam { } } }
  }
}
stage { name: "measured" evaluate { model: "fast" data: "images" } }
)";

class CompareTest : public ::testing::Test {
 protected:
  static std::string Path(const std::string& name) { return absl::StrCat(*folder_, "/", name); }

  static Finished Program(const std::string& program, const std::vector<std::string>& more,
                          const std::string& config = "tiny.textproto") {
    std::vector<std::string> command = {RunfilePath(program), "--config=" + Path(config), "--store=" + Path("store")};
    command.insert(command.end(), more.begin(), more.end());
    return RunProgram(command);
  }

  static Finished Compare(const std::string& runs, std::vector<std::string> more = {}) {
    more.push_back("--runs=" + runs);
    return Program("tools/compare/compare", more);
  }

  static void SetUpTestSuite() {
    folder_ = new std::string(retort::testing::NewFolder());
    std::ofstream(Path("tiny.textproto")) << kTiny;
    for (const char* program : {"pipelines/distill", "pipelines/evaluate"}) {
      const Finished made = Program(program, {});
      ASSERT_EQ(made.exit_code, 0) << made.err;
    }
  }

  static const std::string* folder_;
};

const std::string* CompareTest::folder_ = nullptr;

// What the images say, counted one by one, has to agree with what was measured in training.
TEST_F(CompareTest, CountsAgreeWithTheAccuracies) {
  const Finished finished = Compare("slow,fast", {"--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const nlohmann::json json = nlohmann::json::parse(finished.out);
  EXPECT_EQ(json["images"], 300);
  ASSERT_EQ(json["pairs"].size(), 2u);
  double mean = 0;
  for (size_t i = 0; i < 2; ++i) {
    const nlohmann::json& pair = json["pairs"][i];
    EXPECT_EQ(pair["seed"], 3 + i);
    const double gained = 300 * (pair["accuracy"][1].get<double>() - pair["accuracy"][0].get<double>());
    EXPECT_EQ(std::llround(gained), pair["right_alone"][1].get<int64_t>() - pair["right_alone"][0].get<int64_t>());
    EXPECT_GT(pair["right_alone"][0].get<int64_t>() + pair["right_alone"][1].get<int64_t>(), 0);
    mean += pair["difference"].get<double>() / 2;
  }
  EXPECT_NEAR(json["difference"]["mean"].get<double>(), mean, 1e-12);
  EXPECT_LE(json["difference"]["interval"][0].get<double>(), mean);
}

TEST_F(CompareTest, TheOtherWayRoundEverythingChangesItsSign) {
  const nlohmann::json there = nlohmann::json::parse(Compare("slow,fast", {"--json"}).out);
  const nlohmann::json back = nlohmann::json::parse(Compare("fast,slow", {"--json"}).out);
  EXPECT_EQ(back["difference"]["mean"].get<double>(), -there["difference"]["mean"].get<double>());
  EXPECT_EQ(back["pairs"][1]["right_alone"][0], there["pairs"][1]["right_alone"][1]);
  EXPECT_EQ(back["pairs"][1]["mcnemar_p"], there["pairs"][1]["mcnemar_p"]);
}

TEST_F(CompareTest, AnEvaluationIsTheModelItMeasured) {
  const Finished finished = Compare("fast,measured");
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("accuracy on 300 test images, \"measured\" less \"fast\""));
  EXPECT_THAT(finished.out, HasSubstr("mean difference of 3 pairs +0.00 points, 95 % interval [+0.00, +0.00], no "
                                      "t-test: all differences are the same"));
}

TEST_F(CompareTest, RefusesRunsThatCannotBeCompared) {
  Finished refused = Compare("slow,fest");
  EXPECT_EQ(refused.exit_code, 78);
  EXPECT_THAT(refused.err, HasSubstr("no run \"fest\""));
  EXPECT_THAT(refused.err, HasSubstr("permitted: elsewhere, fast, measured, slow; did you mean \"fast\"?"));

  refused = Compare("elsewhere,fast");
  EXPECT_EQ(refused.exit_code, 78);
  EXPECT_THAT(refused.err,
              HasSubstr("the test sets differ: \"elsewhere\" was measured on 300 images, \"fast\" on 300"));

  refused = Compare("slow,fast", {"--set=fast.train.epochs=4"});
  EXPECT_EQ(refused.exit_code, 66);
  EXPECT_THAT(refused.err, HasSubstr("run \"fast\": distill \"fast/0\" of seed 3 is not in "));
  EXPECT_THAT(refused.err, HasSubstr(absl::StrCat("; bazel run //pipelines:distill -- --config=",
                                                  Path("tiny.textproto"), " --set=fast.train.epochs=4 --store=")));

  std::string text = kTiny;
  text.replace(text.find("seed: 3"), 7, "seed: 9");
  std::ofstream(Path("later.textproto")) << text;
  refused = Compare("slow,fast", {"--config=" + Path("later.textproto")});
  EXPECT_EQ(refused.exit_code, 78);
  EXPECT_THAT(refused.err, HasSubstr("no seed is common: \"slow\" has 3, 4, \"fast\" has 9, 10, 11"));
}

TEST_F(CompareTest, RefusesWrongUsage) {
  Finished refused = Compare("slow");
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_THAT(refused.err, HasSubstr("give two runs"));
  refused = Compare("slow,fast", {"--jsn"});
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_THAT(refused.err, HasSubstr("did you mean \"--json\"?"));
  refused = RunProgram({RunfilePath("tools/compare/compare"), "--runs=slow,fast"});
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_THAT(refused.err, HasSubstr("give --config=FILE"));
}

}  // namespace
}  // namespace retort::tools
