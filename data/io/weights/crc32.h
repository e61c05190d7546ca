// CRC-32 as zip files have it (polynomial 0x04c11db7, reflected; ISO 3309).
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace retort::data {

// Of `bytes` that follow others whose CRC-32 is `before`.
uint32_t Crc32(absl::Span<const uint8_t> bytes, uint32_t before = 0);

}  // namespace retort::data
