#include "retort/data/philox.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace retort::data {
namespace {

using ::testing::ElementsAre;

struct KnownAnswer {
  std::string name;
  std::array<uint32_t, 4> counter;
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> output;
};

class PhiloxKnownAnswerTest : public ::testing::TestWithParam<KnownAnswer> {};

TEST_P(PhiloxKnownAnswerTest, IsWhatTheAuthorsPublished) {
  EXPECT_EQ(Philox4x32(GetParam().counter, GetParam().key), GetParam().output);
}

// DEShawResearch/random123: tests/kat_vectors, lines "philox4x32 10".
INSTANTIATE_TEST_SUITE_P(
    Random123, PhiloxKnownAnswerTest,
    ::testing::Values(KnownAnswer{"Zeros", {0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                      KnownAnswer{"Ones",
                                  {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                                  {0xffffffff, 0xffffffff},
                                  {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                      KnownAnswer{"DigitsOfPi",
                                  {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                  {0xa4093822, 0x299f31d0},
                                  {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}),
    [](const auto& instance) { return instance.param.name; });

TEST(PhiloxTest, LaysOutItsArgumentsAsDocumented) {
  // The vector "DigitsOfPi" again, as 64-bit words.
  EXPECT_THAT(Philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x13198a2e, 0x03707344),
              ElementsAre(0x94fdccebd16cfe09, 0x24126ea15001e420));
}

TEST(UniformIntTest, MapsTheRangeOfBitsEvenly) {
  EXPECT_EQ(UniformInt(0, 9), 0u);
  EXPECT_EQ(UniformInt(~uint64_t{0}, 9), 8u);
  EXPECT_EQ(UniformInt(uint64_t{1} << 63, 10), 5u);
  EXPECT_EQ(UniformInt((uint64_t{1} << 63) - 1, 10), 4u);
  EXPECT_EQ(UniformInt(~uint64_t{0}, 1), 0u);
  EXPECT_EQ(UniformInt(~uint64_t{0}, uint64_t{1} << 63), (uint64_t{1} << 63) - 1);
}

TEST(UniformIntTest, DrawsEachValueEquallyOften) {
  constexpr int kValues = 9;
  constexpr int kDraws = 90000;
  std::vector<int> count(kValues);
  for (uint64_t i = 0; i < kDraws; ++i) ++count[UniformInt(Philox(11, i, 0, 0)[0], kValues)];
  double chi_square = 0;
  for (int n : count)
    chi_square += (n - kDraws / kValues) * (n - kDraws / kValues) / static_cast<double>(kDraws / kValues);
  // 8 degrees of freedom: 26.1 is exceeded with probability 0.001.
  EXPECT_LT(chi_square, 26.1);
}

TEST(UniformDoubleTest, StaysBelowOne) {
  EXPECT_EQ(UniformDouble(0), 0.0);
  EXPECT_EQ(UniformDouble(uint64_t{1} << 63), 0.5);
  EXPECT_EQ(UniformDouble(~uint64_t{0}), 1 - 0x1p-53);
}

}  // namespace
}  // namespace retort::data
