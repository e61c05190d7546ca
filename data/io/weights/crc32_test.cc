#include "retort/data/io/weights/crc32.h"

#include <string>

#include "gtest/gtest.h"

namespace retort::data {
namespace {

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

TEST(Crc32Test, KnownValues) {
  EXPECT_EQ(Crc32({}), 0u);
  // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
  EXPECT_EQ(Crc32(Bytes("123456789")), 0xcbf43926u);
  // zlib.crc32(bytes(range(256)) * 3) in Python
  std::string text;
  for (int i = 0; i < 3 * 256; ++i) text += static_cast<char>(i);
  EXPECT_EQ(Crc32(Bytes(text)), 0xb0c0df2au);
}

TEST(Crc32Test, PartsMakeTheWhole) {
  const std::string text = "a text that is longer than eight bytes, and not a multiple of them";
  for (size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(Crc32(Bytes(text.substr(i)), Crc32(Bytes(text.substr(0, i)))), Crc32(Bytes(text))) << i;
  }
}

}  // namespace
}  // namespace retort::data
