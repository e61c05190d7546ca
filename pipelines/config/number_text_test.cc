#include "retort/pipelines/config/number_text.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

TEST(NumberText, IsShort) {
  EXPECT_EQ(NumberText(0.1), "0.1");
  EXPECT_EQ(NumberText(0.1f), "0.1");
  EXPECT_EQ(NumberText(static_cast<double>(0.1f)), "0.10000000149011612");
  EXPECT_EQ(NumberText(1e-8), "1e-08");
  EXPECT_EQ(NumberText(1e9), "1000000000");
  EXPECT_EQ(NumberText(-3.0), "-3");
  EXPECT_EQ(NumberText(1e300), "1e+300");
  EXPECT_EQ(NumberText(-0.0), "-0");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(NumberText(-std::numeric_limits<float>::infinity()), "-inf");
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(NumberText, ReadsBackToTheSameBits) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (value != value) continue;
    const double back = std::strtod(NumberText(value).c_str(), nullptr);
    EXPECT_EQ(std::memcmp(&back, &value, sizeof(value)), 0) << NumberText(value);
  }
}

}  // namespace
}  // namespace retort::pipelines
