// CRC-32C, the check sum of records in event files.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace retort::data {

// The cyclic redundancy check with Castagnoli's polynomial 0x1EDC6F41, bits reflected, begun with and ended by an
// inversion. Source: RFC 3720, 12.1 and B.4. A byte at a time.
uint32_t Crc32c(absl::string_view bytes);

}  // namespace retort::data
