#include "retort/pipelines/config/did_you_mean.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

TEST(Closest, FindsSlipsOfTheFinger) {
  const std::vector<std::string> names = {"epochs", "batch_size", "optimizer", "data"};
  EXPECT_EQ(Closest("epoch", names), "epochs");
  EXPECT_EQ(Closest("eopchs", names), "epochs");
  EXPECT_EQ(Closest("batchsize", names), "batch_size");
  EXPECT_EQ(Closest("optimiser", names), "optimizer");
  EXPECT_EQ(Closest("Data", names), "data");
  EXPECT_EQ(Closest("dtaa", names), "data");
}

TEST(Closest, DoesNotGuessWildly) {
  EXPECT_EQ(Closest("vgg", {"deep_nn", "light_nn"}), "");
  EXPECT_EQ(Closest("", {"deep_nn"}), "");
  EXPECT_EQ(Closest("x", {}), "");
  EXPECT_EQ(Closest(std::string(1000000, 'a'), {"a"}), "");
}

TEST(Closest, TakesTheFirstOfTheAlphabetWhereTwoAreAsNear) { EXPECT_EQ(Closest("conv9", {"conv2", "conv1"}), "conv1"); }

TEST(Permitted, IsSortedAndAsks) {
  EXPECT_EQ(Permitted("lighht", {"light", "deep"}), "permitted: deep, light; did you mean \"light\"?");
  EXPECT_EQ(Permitted("vgg", {"light", "deep"}), "permitted: deep, light");
  EXPECT_EQ(Permitted("x", {}), "permitted: none");
}

TEST(Permitted, DoesNotListHundreds) {
  std::vector<std::string> names;
  for (int i = 100; i < 200; ++i) names.push_back(absl::StrCat("stage", i));
  const std::string text = Permitted("stage1999", names);
  EXPECT_LT(text.size(), 300u);
  EXPECT_NE(text.find("stage119 and 80 more; did you mean \"stage199\"?"), std::string::npos) << text;
}

}  // namespace
}  // namespace retort::pipelines
