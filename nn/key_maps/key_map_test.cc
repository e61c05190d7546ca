#include "retort/nn/key_maps/key_map.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/testing/subprocess.h"

namespace retort::nn {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<KeyMap> Parse(const std::string& text) {
  config::KeyMap map;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &map));
  return KeyMap::Create(map);
}

// vit_names.json is what dump_vit_names.py prints.
TEST(KeyMapTest, EveryNameOfTheVitsMapsAndMapsBack) {
  const nlohmann::json models =
      nlohmann::json::parse(data::ReadFile(retort::testing::RunfilePath("nn/key_maps/vit_names.json")).value());
  const KeyMap to_timm = KeyMap::Create(config::TORCHVISION_VIT_TO_TIMM, {}).value();
  const KeyMap to_torchvision = KeyMap::Create(config::TIMM_VIT_TO_TORCHVISION, {}).value();
  EXPECT_EQ(models.size(), 2u);
  for (const auto& [model, names] : models.items()) {
    nlohmann::json forward, backward;
    for (const auto& [name, shape] : names["torchvision"].items()) {
      forward[to_timm.Map(name)] = shape;
      EXPECT_EQ(to_torchvision.Map(to_timm.Map(name)), name);
    }
    for (const auto& [name, shape] : names["timm"].items()) backward[to_torchvision.Map(name)] = shape;
    EXPECT_EQ(forward, names["timm"]) << model;
    EXPECT_EQ(backward, names["torchvision"]) << model;
  }
}

TEST(KeyMapTest, NamesOfTorchvisionsPublishedFilesAreKnown) {
  const KeyMap map = KeyMap::Create(config::TORCHVISION_VIT_TO_TIMM, {}).value();
  EXPECT_EQ(map.Map("encoder.layers.encoder_layer_11.mlp.linear_1.weight"), "blocks.11.mlp.fc1.weight");
  EXPECT_EQ(map.Map("encoder.layers.encoder_layer_0.mlp.linear_2.bias"), "blocks.0.mlp.fc2.bias");
}

TEST(KeyMapTest, TheFirstRuleThatFitsIsApplied) {
  const KeyMap map = Parse(R"(
    rule { from: "a.{x}.c" to: "{x}.first" }
    rule { from: "a.{x*}" to: "second.{x*}" }
    rule { from: "{all*}.gamma" to: "{all*}.weight" }
  )")
                         .value();
  EXPECT_EQ(map.Map("a.b.c"), "b.first");
  EXPECT_EQ(map.Map("a.b.b.c"), "second.b.b.c");
  EXPECT_EQ(map.Map("a."), "a.");
  EXPECT_EQ(map.Map("x.y.gamma"), "x.y.weight");
  EXPECT_EQ(map.Map("x.gammas"), "x.gammas");
  EXPECT_EQ(KeyMap().Map("x"), "x");
}

TEST(KeyMapTest, RulesComeBehindAKnownMap) {
  config::KeyMap own;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(rule { from: "m.{x*}" to: "{x*}" })", &own));
  const KeyMap map = KeyMap::Create(config::TORCHVISION_VIT_TO_TIMM, own.rule()).value();
  EXPECT_EQ(map.Map("encoder.ln.bias"), "norm.bias");
  EXPECT_EQ(map.Map("m.x.y"), "x.y");
}

TEST(KeyMapErrorTest, NamesTheRule) {
  for (const char* rule : {R"(rule { from: "a.{x" to: "b" })", R"(rule { from: "a}" to: "b" })",
                           R"(rule { from: "a.{}" to: "b.{}" })", R"(rule { from: "{x}{y}" to: "{y}.{x}" })",
                           R"(rule { from: "{x}.{x}" to: "{x}" })", R"(rule { from: "a.{x}" to: "b" })",
                           R"(rule { from: "a.{x}" to: "b.{x*}" })", R"(rule { from: "" to: "b" })"}) {
    const absl::Status status = Parse(rule).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << rule;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"")) << rule;
  }
}

TEST(FitsPatternTest, StarsStandForAnyCharacters) {
  EXPECT_TRUE(FitsPattern("head.weight", "head.*"));
  EXPECT_TRUE(FitsPattern("head.weight", "head.weight"));
  EXPECT_TRUE(FitsPattern("a.b.bias", "*.bias"));
  EXPECT_TRUE(FitsPattern("a.b.c", "a*b*c"));
  EXPECT_TRUE(FitsPattern("", "*"));
  EXPECT_FALSE(FitsPattern("header.weight", "head.*"));
  EXPECT_FALSE(FitsPattern("my.head.weight", "head.*"));
  EXPECT_FALSE(FitsPattern("head.weight", "head"));
}

}  // namespace
}  // namespace retort::nn
