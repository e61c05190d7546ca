#include "retort/pipelines/program/command_line.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParseCommandLine, ReadsEveryFlagInBothSpellings) {
  const auto line = ParseCommandLine({"--config=a.textproto", "--set", "seed=1", "--set=x.train.epochs=2", "--store",
                                      "s", "--data_dir=d", "--plan", "--dry_run=false", "--print_config=true"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->config, "a.textproto");
  EXPECT_THAT(line->set, ElementsAre("seed=1", "x.train.epochs=2"));
  EXPECT_EQ(line->store, "s");
  EXPECT_EQ(line->data_dir, "d");
  EXPECT_TRUE(line->plan);
  EXPECT_FALSE(line->dry_run);
  EXPECT_TRUE(line->print_config);
  EXPECT_FALSE(line->help);
}

struct BadLine {
  const char* name;
  std::vector<std::string> arguments;
  const char* message;
};

class BadLineTest : public testing::TestWithParam<BadLine> {};

TEST_P(BadLineTest, IsRefusedWithAReason) {
  const auto line = ParseCommandLine(GetParam().arguments);
  ASSERT_EQ(line.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(line.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadLineTest,
    testing::Values(BadLine{"Nothing", {}, "--config=FILE is missing"},
                    BadLine{"UnknownFlag", {"--confg=a"}, "did you mean \"--config\"?"},
                    BadLine{"Positional", {"a.textproto"}, "unknown argument \"a.textproto\""},
                    BadLine{"NoValue", {"--config"}, "needs a value: --config=FILE"},
                    BadLine{"EmptyValue", {"--config="}, "empty value"},
                    BadLine{"SwitchWithValue", {"--plan=maybe"}, "permitted are --plan, --plan=true, --plan=false"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ParseCommandLine, HelpNeedsNoConfig) {
  const auto line = ParseCommandLine({"--help"});
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(line->help);
  EXPECT_THAT(HelpText("distill"), HasSubstr("//pipelines:distill"));
}

TEST(ResolveUserPath, StartsWhereTheUserWas) {
  setenv("BUILD_WORKING_DIRECTORY", "/home/user", 1);
  EXPECT_EQ(ResolveUserPath("configs/a"), "/home/user/configs/a");
  EXPECT_EQ(ResolveUserPath("/configs/a"), "/configs/a");
  unsetenv("BUILD_WORKING_DIRECTORY");
  EXPECT_EQ(ResolveUserPath("configs/a"), "configs/a");
}

}  // namespace
}  // namespace retort::pipelines
