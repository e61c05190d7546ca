// What student and teacher see, told apart by what comes out: stages that must be alike are, to the last bit.
#include <stdlib.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "retort/data/io/file.h"
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
    model { deep_nn { conv1: 8 conv2: 8 conv3: 8 conv4: 8 hidden: 16 } }
    objective { term { cross_entropy { } } }
    train { epochs: 1 batch_size: 32 optimizer { adam { } } }
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
stage { name: "mixed" cache_logits { views: "mixed_views" teacher: "teacher" } }
stage { name: "both" cache_logits { views: "views" teacher: ["teacher", "second"] teacher_weight: [3, 1] } }
)";

std::string Student(const std::string& name, const std::string& source, const std::string& augment = "") {
  return absl::StrCat("stage { name: '", name, "' distill { ", source,
                      " model { light_nn { conv1: 4 conv2: 4 hidden: 16 } } objective { term { weight: 0.5 "
                      "cross_entropy { } } term { weight: 0.5 distill { temperature: 2 } } } train { epochs: 3 "
                      "batch_size: 32 optimizer { sgd { learning_rate: 0.05 } } ",
                      augment, " } } }\n");
}

// Bytes of each student's weights, by name.
std::map<std::string, std::string> Weights(const std::string& students, std::string* err) {
  std::string folder = absl::StrCat(::testing::TempDir(), "/modes_XXXXXX");
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/modes.textproto") << kStages << students;
  const std::vector<std::string> command = {RunfilePath("pipelines/distill"), "--config=" + folder + "/modes.textproto",
                                            "--store=" + folder + "/store"};
  const Finished finished = RunProgram(command);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  *err = finished.err;
  std::vector<std::string> plan = command;
  plan.push_back("--plan");
  std::map<std::string, std::string> weights;
  // "name  distill  key  HIT"
  for (absl::string_view line : absl::StrSplit(RunProgram(plan).out, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 4 || words[1] != "distill") continue;
    const auto bytes = data::ReadFile(absl::StrCat(folder, "/store/distill/", words[2], "/model.safetensors"));
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok()) weights[words[0]] = *bytes;
  }
  return weights;
}

constexpr char kCrop[] = "augment { crop { } }";

TEST(TeachingModesTest, OfStoredTargets) {
  std::string err;
  auto weights =
      Weights(absl::StrCat(
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
                  Student("fixed", "targets: 'targets' teacher_view: FIXED_VIEW", kCrop),
                  Student("mix_then_teach", "targets: 'mixed'"),
                  Student("teach_then_mix", "targets: 'targets' mixing: TEACH_THEN_MIX", "augment { mixup { } }"),
                  Student("ensemble", "targets: 'both'")),
              &err);
  ASSERT_EQ(weights.size(), 14u);
  EXPECT_EQ(weights["alone_same"], weights["alone_fixed"]);
  EXPECT_EQ(weights["alone_same"], weights["alone_independent"]);
  EXPECT_EQ(weights["one"], weights["one_random"]);
  EXPECT_EQ(weights["one"], weights["one_all"]);
  std::set<std::string> different;
  for (const auto& [name, bytes] : weights) different.insert(bytes);
  EXPECT_EQ(different.size(), 10u);
}

TEST(TeachingModesTest, OfALiveTeacher) {
  std::string err;
  auto weights = Weights(
      absl::StrCat(
          Student("same", "data: 'images' teacher: 'teacher'"),
          Student("fixed", "data: 'images' teacher: 'teacher' teacher_view: FIXED_VIEW"),
          Student("independent", "data: 'images' teacher: 'teacher' teacher_view: INDEPENDENT_VIEWS"),
          Student("stored", "targets: 'alone'"), Student("cropped", "data: 'images' teacher: 'teacher'", kCrop),
          Student("cropped_fixed", "data: 'images' teacher: 'teacher' teacher_view: FIXED_VIEW", kCrop),
          Student("cropped_independent", "data: 'images' teacher: 'teacher' teacher_view: INDEPENDENT_VIEWS", kCrop),
          Student("cropped_stored_fixed", "targets: 'alone' teacher_view: FIXED_VIEW", kCrop),
          Student("function_matching", "data: 'images' teacher: 'teacher'", "augment { mixup { } }"),
          Student("ensemble", "data: 'images' teacher: ['teacher', 'second']")),
      &err);
  ASSERT_EQ(weights.size(), 10u);
  EXPECT_EQ(weights["same"], weights["fixed"]);
  EXPECT_EQ(weights["same"], weights["independent"]);
  EXPECT_EQ(weights["same"], weights["stored"]);
  EXPECT_EQ(weights["cropped_fixed"], weights["cropped_stored_fixed"]);
  std::set<std::string> different;
  for (const auto& [name, bytes] : weights) different.insert(bytes);
  EXPECT_EQ(different.size(), 6u);
  EXPECT_THAT(err, ::testing::HasSubstr("teacher \"second\": test accuracy"));
}

}  // namespace
}  // namespace retort::pipelines
