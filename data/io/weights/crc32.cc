#include "retort/data/io/weights/crc32.h"

#include <endian.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace retort::data {
namespace {

constexpr size_t kSlices = 8;

// kTables[0] is the remainder of a byte; kTables[k] of that byte followed by k zero bytes, so that eight bytes take
// eight look-ups that do not wait for each other.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, kSlices> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = remainder >> 1 ^ (remainder % 2 != 0 ? 0xedb88320u : 0u);
    tables[0][byte] = remainder;
  }
  for (size_t k = 1; k < kSlices; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t shorter = tables[k - 1][byte];
      tables[k][byte] = shorter >> 8 ^ tables[0][shorter & 0xff];
    }
  }
  return tables;
}();

}  // namespace

uint32_t Crc32(absl::Span<const uint8_t> bytes, uint32_t before) {
  uint32_t crc = ~before;
  while (bytes.size() >= kSlices) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), kSlices);
    word = le64toh(word) ^ crc;
    crc = 0;
    for (size_t i = 0; i < kSlices; ++i) crc ^= kTables[kSlices - 1 - i][word >> (8 * i) & 0xff];
    bytes.remove_prefix(kSlices);
  }
  for (const uint8_t byte : bytes) crc = crc >> 8 ^ kTables[0][(crc ^ byte) & 0xff];
  return ~crc;
}

}  // namespace retort::data
