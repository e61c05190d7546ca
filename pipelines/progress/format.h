// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace retort::pipelines {

// Decimal digits in groups of three: 1234567 is "1,234,567".
std::string GroupedDigits(int64_t value);

// The two largest units: "42 s", "3 min 05 s", "2 h 07 min", "3 d 04 h". Rounded to whole seconds; below zero is "0 s".
std::string FormatElapsed(absl::Duration duration);

}  // namespace retort::pipelines
