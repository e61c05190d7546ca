#include "retort/tools/compare/comparison.h"

#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace retort::tools {
namespace {

// Numbers: SciPy 1.17.1's ttest_1samp([0.01, 0.025, 0.0175], 0), binomtest(k, n, 0.5).
Comparison Example() {
  Comparison comparison;
  comparison.runs[0] = "baseline";
  comparison.runs[1] = "student";
  comparison.images = 400;
  comparison.pairs = {{3, {320, 324}, {10, 14}}, {4, {316, 326}, {2, 12}}, {5, {318, 325}, {0, 7}}};
  return comparison;
}

TEST(ComparisonTest, TableGolden) {
  EXPECT_EQ(ComparisonTable(Example()), R"(accuracy on 400 test images, "student" less "baseline"

  seed  baseline   student  difference   only baseline    only student  McNemar p
     3   80.00 %   81.00 %       +1.00              10              14      0.541
     4   79.00 %   81.50 %       +2.50               2              12     0.0129
     5   79.50 %   81.25 %       +1.75               0               7     0.0156

mean difference of 3 pairs +1.75 points, 95 % interval [-0.11, +3.61], paired t-test p = 0.0561
)");
}

TEST(ComparisonTest, OnePairSaysThatItHasNoInterval) {
  Comparison one = Example();
  one.pairs.resize(1);
  EXPECT_EQ(ComparisonTable(one), R"(accuracy on 400 test images, "student" less "baseline"

  seed  baseline   student  difference   only baseline    only student  McNemar p
     3   80.00 %   81.00 %       +1.00              10              14      0.541

difference +1.00 points; one pair has no interval and no t-test, for those train more replicates
)");
}

TEST(ComparisonTest, JsonHasAllNumbers) {
  const nlohmann::json json = nlohmann::json::parse(ComparisonJson(Example()));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["runs"], nlohmann::json::parse(R"(["baseline", "student"])"));
  EXPECT_EQ(json["images"], 400);
  const nlohmann::json& difference = json["difference"];
  EXPECT_NEAR(difference["mean"].get<double>(), 0.0175, 1e-15);
  EXPECT_NEAR(difference["std"].get<double>(), 0.0075, 1e-15);
  EXPECT_NEAR(difference["interval"][0].get<double>(), -0.0011310328381274777, 1e-14);
  EXPECT_NEAR(difference["interval"][1].get<double>(), 0.03613103283812748, 1e-14);
  EXPECT_NEAR(difference["p"].get<double>(), 0.05612019255146109, 1e-12);
  ASSERT_EQ(json["pairs"].size(), 3u);
  const nlohmann::json& pair = json["pairs"][0];
  EXPECT_EQ(pair["seed"], 3);
  EXPECT_EQ(pair["accuracy"], nlohmann::json::parse("[0.8, 0.81]"));
  EXPECT_EQ(pair["difference"], 0.01);
  EXPECT_EQ(pair["right_alone"], nlohmann::json::parse("[10, 14]"));
  EXPECT_NEAR(pair["mcnemar_p"].get<double>(), 0.5412561893463135, 1e-12);
}

TEST(ComparisonTest, WhatThereIsNoneOfIsNull) {
  Comparison one = Example();
  one.pairs.resize(1);
  const nlohmann::json difference = nlohmann::json::parse(ComparisonJson(one))["difference"];
  EXPECT_EQ(difference, nlohmann::json::parse(R"({"mean": 0.01, "std": null, "interval": null, "p": null})"));
  // Equal differences, which are equal numbers although the accuracies are rounded: 0.1 and 0.1.
  Comparison equal = Example();
  equal.images = 10;
  equal.pairs = {{1, {6, 7}, {0, 1}}, {2, {7, 8}, {1, 2}}, {3, {8, 9}, {0, 1}}};
  EXPECT_EQ(nlohmann::json::parse(ComparisonJson(equal))["difference"],
            nlohmann::json::parse(R"({"mean": 0.1, "std": 0.0, "interval": [0.1, 0.1], "p": null})"));
  EXPECT_NE(ComparisonTable(equal).find("no t-test: all differences are the same"), std::string::npos);
}

}  // namespace
}  // namespace retort::tools
