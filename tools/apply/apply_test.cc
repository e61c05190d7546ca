#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "retort/data/io/file.h"
#include "retort/ops/codecs/decode_image.h"
#include "retort/ops/codecs/image.h"
#include "retort/testing/subprocess.h"

namespace retort::tools {
namespace {

using ::testing::HasSubstr;

testing::Finished Apply(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "tools/apply/apply");
  return testing::RunProgram(arguments);
}

std::string Temporary(const std::string& name) { return absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name); }

ops::Image Decode(const std::string& path) {
  const std::string bytes = data::ReadFile(path).value();
  return ops::DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}).value();
}

constexpr char kImage[] = "procedural:train:3";

TEST(ApplyTest, WithoutChangeCopies) {
  const std::string out = Temporary("same.png"), again = Temporary("again.png");
  EXPECT_EQ(Apply({"--op=identity", kImage, out}).exit_code, 0);
  EXPECT_EQ(Apply({"--op=identity", out, again}).exit_code, 0);
  EXPECT_EQ(Decode(out).height, 32);
  EXPECT_EQ(Decode(out).pixels, Decode(again).pixels);
}

TEST(ApplyTest, InvertsByHand) {
  const std::string plain = Temporary("plain.png"), inverted = Temporary("inverted.png");
  Apply({"--op=identity", kImage, plain});
  EXPECT_EQ(Apply({"--op=invert", plain, inverted}).exit_code, 0);
  std::vector<uint8_t> expected = Decode(plain).pixels;
  for (uint8_t& value : expected) value = static_cast<uint8_t>(255 - value);
  EXPECT_EQ(Decode(inverted).pixels, expected);
}

TEST(ApplyTest, DrawsByNumberSeedAndView) {
  const auto draw = [](std::vector<std::string> flags) {
    flags.insert(
        flags.begin(),
        {"--augment=step { crop {} } step { flip {} } step { auto_augment {} } step { cutout {} }", "--params_json"});
    const testing::Finished finished = Apply(flags);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  };
  const std::string drawn = draw({kImage});
  const nlohmann::json json = nlohmann::json::parse(drawn);
  EXPECT_TRUE(json.contains("crop") && json.contains("flip") && json.contains("policies") && json.contains("erase"));
  EXPECT_EQ(draw({kImage}), drawn);
  EXPECT_EQ(draw({"--index=3", "procedural:train:9"}), drawn);
  EXPECT_NE(draw({"procedural:train:9"}), drawn);
  EXPECT_NE(draw({"--seed=1", kImage}), drawn);
  EXPECT_NE(draw({"--view=1", kImage}), drawn);
}

TEST(ApplyTest, GridHoldsTheViews) {
  const std::string steps = "--augment=step { crop {} } step { auto_augment {} }", sheet = Temporary("sheet.png"),
                    view = Temporary("view.png");
  EXPECT_EQ(Apply({steps, "--grid=5", kImage, sheet}).exit_code, 0);
  EXPECT_EQ(Apply({steps, "--view=4", kImage, view}).exit_code, 0);
  const ops::Image all = Decode(sheet), one = Decode(view);
  ASSERT_EQ(all.width, 3 * 32 + 2 * 2);
  ASSERT_EQ(all.height, 2 * 32 + 2);
  for (size_t y = 0; y < 32; ++y) {
    const auto* row = &all.pixels[((34 + y) * 100 + 34) * 3];
    EXPECT_EQ(std::vector<uint8_t>(row, row + 96), std::vector<uint8_t>(&one.pixels[y * 96], &one.pixels[y * 96] + 96));
  }
}

TEST(ApplyTest, ResizesPhotographs) {
  const std::string out = Temporary("resized.png");
  const testing::Finished finished =
      Apply({"--augment=step { random_resized_crop { size: 48 } } step { flip {} }", "--params_json", kImage, out});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_TRUE(nlohmann::json::parse(finished.out).contains("box"));
  EXPECT_EQ(Decode(out).height, 48);
}

TEST(ApplyTest, Benchmarks) {
  const testing::Finished finished = Apply({"--op=rotate", "--argument=20", "--benchmark", kImage});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr(" images/s, one image a call, 1 thread"));
}

struct BadCall {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string message;
};

class BadCallTest : public ::testing::TestWithParam<BadCall> {};

TEST_P(BadCallTest, IsRefused) {
  const testing::Finished finished = Apply(GetParam().arguments);
  EXPECT_EQ(finished.exit_code, GetParam().exit_code);
  EXPECT_THAT(finished.err, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BadCallTest,
    ::testing::Values(
        BadCall{"NothingToDo", {kImage, "out.png"}, 64, "give either --augment or --op"},
        BadCall{"NoOutput", {"--op=invert", kImage}, 64, "give IN and OUT.png"},
        BadCall{
            "UnknownOp", {"--op=sparkle", kImage, "o.png"}, 78, "--op=sparkle is unknown; permitted: identity, she"},
        BadCall{"UnknownStep", {"--augment=step { crpo {} }", kImage, "o.png"}, 78, "--augment:1:8: "},
        BadCall{"BadNumber", {"--augment=step { crop { pad: -1 } }", kImage, "o.png"}, 78, "crop.pad is -1"},
        BadCall{"BadArgument", {"--op=rotate", "--argument=nan", kImage, "o.png"}, 78, "record"},
        BadCall{"NoFile", {"--op=invert", "/nowhere/cat.jpg", "o.png"}, 66, "/nowhere/cat.jpg"},
        BadCall{"NoSuchImage", {"--op=invert", "procedural:test:99999999", "o.png"}, 78, "test has images 0.."},
        BadCall{"NoSplit", {"--op=invert", "procedural:3", "o.png"}, 78, "write it as procedural:train:123"},
        BadCall{"NotAnImage", {"--op=invert", "tools/apply/apply", "o.png"}, 78, "tools/apply/apply: "}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace retort::tools
