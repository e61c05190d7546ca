// What student and teacher see, told apart by what comes out: stages that must be alike are, to the last bit.
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/testing/new_folder.h"
#include "retort/testing/subprocess.h"

namespace retort::pipelines {
namespace {

using retort::testing::Finished;
using retort::testing::RunfilePath;
using retort::testing::RunProgram;

constexpr char kStages[] = R"(
name: "modes"
stage { name: "images" ingest { procedural { train_size: 200 test_size: 50 } } }
stage {
  name: "teacher"
  finetune {
    data: "images"
    model { deep_nn { conv1: 8 conv2: 8 conv3: 8 conv4: 8 hidden: 16 dropout: 0 } }
    objective { term { cross_entropy { } } }
    train { epochs: 20 batch_size: 32 optimizer { adam { learning_rate: 0.01 } } }
  }
}
stage {
  name: "second"
  finetune {
    data: "images"
    model { light_nn { conv1: 8 conv2: 8 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 1 batch_size: 32 optimizer { adam { } } normalize { mean: [0.4, 0.4, 0.4] std: [0.2, 0.3, 0.2] } }
  }
}
stage { name: "views" augment { data: "images" count: 3 step { crop { } } } }
stage { name: "one_view" augment { data: "images" count: 1 step { crop { } } } }
stage { name: "mixed_views" augment { data: "images" count: 2 step { crop { } } step { mixup { } } } }
stage { name: "alone" cache_logits { data: "images" teacher: "teacher" store { precision: FP32 } } }
stage { name: "targets" cache_logits { views: "views" teacher: "teacher" store { precision: FP32 } } }
stage { name: "one_target" cache_logits { views: "one_view" teacher: "teacher" store { precision: FP32 } } }
stage { name: "mixed" cache_logits { views: "mixed_views" teacher: "teacher" store { precision: FP32 } } }
stage { name: "both" cache_logits { views: "views" teacher: ["teacher", "second"] teacher_weight: [3, 1] } }
)";

std::string Student(const std::string& name, const std::string& source, const std::string& augment = "") {
  return absl::StrCat("stage { name: '", name, "' distill { ", source,
                      " model { light_nn { conv1: 4 conv2: 4 hidden: 16 } } objective { term { weight: 0.5 "
                      "cross_entropy { } } term { weight: 0.5 distill { temperature: 2 } } } train { epochs: 3 "
                      "batch_size: 32 optimizer { sgd { learning_rate: 0.05 } } ",
                      augment, " } } }\n");
}

// A store, and where the stages of a config lie in it.
class Experiment {
 public:
  // Runs `program`; returns what it says of errors and progress.
  std::string operator()(const std::string& program, const std::string& students) {
    std::ofstream(folder_ + "/modes.textproto") << kStages << students;
    std::vector<std::string> command = {RunfilePath("pipelines/" + program), "--config=" + folder_ + "/modes.textproto",
                                        "--store=" + folder_ + "/store"};
    const Finished finished = RunProgram(command);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    command.push_back("--plan");
    // "name  kind  key  HIT"
    for (absl::string_view line : absl::StrSplit(RunProgram(command).out, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() >= 4) folders_[words[0]] = absl::StrCat(folder_, "/store/", words[1], "/", words[2]);
    }
    return finished.err;
  }

  std::string PathOf(const std::string& stage, const std::string& file) const {
    return absl::StrCat(folders_.at(stage), "/", file);
  }

  std::string Read(const std::string& stage, const std::string& file) const {
    const auto bytes = data::ReadFile(PathOf(stage, file));
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or("");
  }

  // Weights of `students`, each by its name.
  std::map<std::string, std::string> Weights(const std::vector<std::string>& students) const {
    std::map<std::string, std::string> weights;
    for (const std::string& student : students) weights[student] = Read(student, "model.safetensors");
    return weights;
  }

 private:
  const std::string folder_ = retort::testing::NewFolder();
  std::map<std::string, std::string> folders_;
};

size_t Different(const std::map<std::string, std::string>& weights) {
  std::set<std::string> different;
  for (const auto& [name, bytes] : weights) different.insert(bytes);
  return different.size();
}

constexpr char kCrop[] = "augment { crop { } }";

TEST(TeachingModesTest, OfStoredTargets) {
  Experiment run;
  run("distill", absl::StrCat(
                     // Of images that nothing is done to, each mode is the same.
                     Student("alone_same", "targets: 'alone'"),
                     Student("alone_fixed", "targets: 'alone' teacher_view: FIXED_VIEW"),
                     Student("alone_independent", "targets: 'alone' teacher_view: INDEPENDENT_VIEWS"),
                     // Of one view, each choice is the same.
                     Student("one", "targets: 'one_target'"),
                     Student("one_random", "targets: 'one_target' view_use: RANDOM_VIEW_PER_IMAGE"),
                     Student("one_all", "targets: 'one_target' view_use: ALL_VIEWS"),
                     // Of three, none is.
                     Student("in_turn", "targets: 'targets' view_use: VIEWS_IN_TURN"),
                     Student("random", "targets: 'targets' view_use: RANDOM_VIEW_PER_IMAGE"),
                     Student("all", "targets: 'targets' view_use: ALL_VIEWS"),
                     Student("independent", "targets: 'targets' teacher_view: INDEPENDENT_VIEWS", kCrop),
                     Student("fixed", "targets: 'alone' teacher_view: FIXED_VIEW", kCrop),
                     Student("mix_then_teach", "targets: 'mixed'"),
                     Student("teach_then_mix", "targets: 'targets' mixing: TEACH_THEN_MIX", "augment { mixup { } }"),
                     Student("ensemble", "targets: 'both'")));
  auto weights =
      run.Weights({"alone_same", "alone_fixed", "alone_independent", "one", "one_random", "one_all", "in_turn",
                   "random", "all", "independent", "fixed", "mix_then_teach", "teach_then_mix", "ensemble"});
  EXPECT_EQ(weights["alone_same"], weights["alone_fixed"]);
  EXPECT_EQ(weights["alone_same"], weights["alone_independent"]);
  EXPECT_EQ(weights["one"], weights["one_random"]);
  EXPECT_EQ(weights["one"], weights["one_all"]);
  EXPECT_EQ(Different(weights), 10u);
}

TEST(TeachingModesTest, OfALiveTeacher) {
  Experiment run;
  const std::string said = run(
      "distill",
      absl::StrCat(
          Student("same", "data: 'images' teacher: 'teacher'"),
          Student("fixed", "data: 'images' teacher: 'teacher' teacher_view: FIXED_VIEW"),
          Student("independent", "data: 'images' teacher: 'teacher' teacher_view: INDEPENDENT_VIEWS"),
          Student("stored", "targets: 'alone'"), Student("cropped", "data: 'images' teacher: 'teacher'", kCrop),
          Student("cropped_fixed", "data: 'images' teacher: 'teacher' teacher_view: FIXED_VIEW", kCrop),
          Student("cropped_independent", "data: 'images' teacher: 'teacher' teacher_view: INDEPENDENT_VIEWS", kCrop),
          Student("cropped_stored_fixed", "targets: 'alone' teacher_view: FIXED_VIEW", kCrop),
          Student("function_matching", "data: 'images' teacher: 'teacher'", "augment { mixup { } }"),
          Student("ensemble", "data: 'images' teacher: ['teacher', 'second']")));
  auto weights = run.Weights({"same", "fixed", "independent", "stored", "cropped", "cropped_fixed",
                              "cropped_independent", "cropped_stored_fixed", "function_matching", "ensemble"});
  EXPECT_EQ(weights["same"], weights["fixed"]);
  EXPECT_EQ(weights["same"], weights["independent"]);
  EXPECT_EQ(weights["same"], weights["stored"]);
  EXPECT_EQ(weights["cropped_fixed"], weights["cropped_stored_fixed"]);
  EXPECT_EQ(Different(weights), 6u);
  EXPECT_THAT(said, ::testing::HasSubstr("teacher \"second\": test accuracy"));
}

// A student that is its teacher, and stays so, has nothing to learn where both see the same pixels.
TEST(TeachingModesTest, TheTeacherAgreesWithItself) {
  Experiment run;
  const auto itself = [&](const std::string& name, const std::string& source, const std::string& augment = "") {
    return absl::StrCat("stage { name: '", name, "' distill { ", source,
                        " model { deep_nn { conv1: 8 conv2: 8 conv3: 8 conv4: 8 hidden: 16 dropout: 0 } } objective { "
                        "term { distill { temperature: 1 form: KL } } } train { epochs: 3 batch_size: 32 optimizer { "
                        "sgd { learning_rate: 1e-30 } } ",
                        augment, " } begin_with: 'teacher' } }\n");
  };
  const std::vector<std::string> agreeing = {"in_turn",           "random",   "all",
                                             "mixed_views_again", "matching", "nearly_alone"};
  run("distill",
      absl::StrCat(
          itself("in_turn", "targets: 'targets' view_use: VIEWS_IN_TURN"),
          itself("random", "targets: 'targets' view_use: RANDOM_VIEW_PER_IMAGE"),
          itself("all", "targets: 'targets' view_use: ALL_VIEWS"),
          itself("mixed_views_again", "targets: 'mixed' view_use: RANDOM_VIEW_PER_IMAGE"),
          itself("matching", "data: 'images' teacher: 'teacher'", "augment { crop { } } augment { mixup { } }"),
          itself("nearly_alone", "data: 'images' teacher: ['second', 'teacher'] teacher_weight: [1e-6, 1000000]"),
          itself("independent", "targets: 'targets' teacher_view: INDEPENDENT_VIEWS", kCrop),
          itself("teach_then_mix", "targets: 'targets' mixing: TEACH_THEN_MIX", "augment { mixup { } }"),
          itself("second_alone", "data: 'images' teacher: 'second'")));
  const auto losses = [&](const std::string& student) {
    std::vector<double> all;
    for (absl::string_view line : absl::StrSplit(run.Read(student, "metrics.jsonl"), '\n', absl::SkipEmpty())) {
      all.push_back(nlohmann::json::parse(line)["loss"]);
    }
    EXPECT_EQ(all.size(), 3u);
    return all;
  };
  for (const std::string& student : agreeing) {
    for (const double loss : losses(student)) EXPECT_LT(std::abs(loss), 1e-6) << student;
  }
  for (const char* const student : {"independent", "teach_then_mix", "second_alone"}) {
    for (const double loss : losses(student)) EXPECT_GT(loss, 1e-4) << student;
  }
}

}  // namespace
}  // namespace retort::pipelines
