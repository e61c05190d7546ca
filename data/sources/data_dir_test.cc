#include "retort/data/sources/data_dir.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace retort::data {
namespace {

TEST(DefaultDataDir, IsTheEnvironmentsOrAFolderOfTheUser) {
  setenv("RETORT_DATA", "/data", 1);
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(DefaultDataDir(), "/data");
  setenv("RETORT_DATA", "", 1);
  EXPECT_EQ(DefaultDataDir(), "/home/x/.cache/retort/data");
  unsetenv("RETORT_DATA");
  EXPECT_EQ(DefaultDataDir(), "/home/x/.cache/retort/data");
}

}  // namespace
}  // namespace retort::data
