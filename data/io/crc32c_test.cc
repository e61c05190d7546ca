#include "retort/data/io/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace retort::data {
namespace {

// RFC 3720, appendix B.4, whose bytes are in the order they are sent: the lowest first.
TEST(Crc32cTest, AgreesWithTheRfc) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string up, down;
  for (char i = 0; i < 32; ++i) {
    up.push_back(i);
    down.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(up), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(down), 0x113FDB5Cu);
  // An iSCSI read command.
  const unsigned char command[48] = {0x01, 0xC0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
                                     0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
                                     0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};
  EXPECT_EQ(Crc32c({reinterpret_cast<const char*>(command), sizeof(command)}), 0xD9963A56u);
}

TEST(Crc32cTest, OfNothingAndOfTheUsualDigits) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

}  // namespace
}  // namespace retort::data
