#include "retort/pipelines/stages/seed.h"

#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

// Expected values: the first 16 digits that coreutils' sha256sum prints for the text.
TEST(DeriveSeed, IsTheBeginningOfSha256) {
  EXPECT_EQ(DeriveSeed(7, "views"), 0xf554c8414d69e75cu);
  EXPECT_EQ(DeriveSeed(0, "augment"), 0xd0b728fced0873afu);
}

TEST(DeriveSeed, DiffersByPurposeAndBySeed) {
  EXPECT_NE(DeriveSeed(7, "views"), DeriveSeed(7, "augment"));
  EXPECT_NE(DeriveSeed(7, "views"), DeriveSeed(8, "views"));
}

}  // namespace
}  // namespace retort::pipelines
