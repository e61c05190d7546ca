#include "retort/pipelines/progress/format.h"

#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::pipelines {
namespace {

TEST(GroupedDigits, GroupsFromTheRight) {
  EXPECT_EQ(GroupedDigits(0), "0");
  EXPECT_EQ(GroupedDigits(999), "999");
  EXPECT_EQ(GroupedDigits(1000), "1,000");
  EXPECT_EQ(GroupedDigits(267738), "267,738");
  EXPECT_EQ(GroupedDigits(1186986), "1,186,986");
}

TEST(GroupedDigits, KeepsTheSignApartFromTheGroups) {
  EXPECT_EQ(GroupedDigits(-100), "-100");
  EXPECT_EQ(GroupedDigits(-1000), "-1,000");
  EXPECT_EQ(GroupedDigits(-123456), "-123,456");
  EXPECT_EQ(GroupedDigits(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(FormatElapsed, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(FormatElapsed(absl::Seconds(0.4)), "0 s");
  EXPECT_EQ(FormatElapsed(absl::Seconds(59)), "59 s");
  EXPECT_EQ(FormatElapsed(absl::Seconds(185)), "3 min 05 s");
  EXPECT_EQ(FormatElapsed(absl::Seconds(2 * 3600 + 7 * 60 + 59)), "2 h 07 min");
  EXPECT_EQ(FormatElapsed(absl::Hours(76)), "3 d 04 h");
}

TEST(FormatElapsed, RoundsIntoTheNextUnit) {
  EXPECT_EQ(FormatElapsed(absl::Seconds(59.6)), "1 min 00 s");
  EXPECT_EQ(FormatElapsed(absl::Seconds(3599.7)), "1 h 00 min");
}

TEST(FormatElapsed, LimitsWhatIsNoTime) {
  EXPECT_EQ(FormatElapsed(absl::Seconds(-5)), "0 s");
  EXPECT_EQ(FormatElapsed(absl::InfiniteDuration()), "10000 d 00 h");
}

}  // namespace
}  // namespace retort::pipelines
