#include "retort/pipelines/progress/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace retort::pipelines {

std::string GroupedDigits(int64_t value) {
  std::string digits = absl::StrCat(value);
  const int first_digit = value < 0 ? 1 : 0;
  for (int position = static_cast<int>(digits.size()) - 3; position > first_digit; position -= 3) {
    digits.insert(position, ",");
  }
  return digits;
}

std::string FormatElapsed(absl::Duration duration) {
  // A rate of nearly nothing gives an estimate of nearly forever; more than 10,000 days is not told apart.
  const double limited = std::clamp(absl::ToDoubleSeconds(duration), 0.0, 10000.0 * 86400);
  const int64_t seconds = std::llround(limited);
  const int64_t minutes = seconds / 60;
  const int64_t hours = minutes / 60;
  if (minutes == 0) return absl::StrFormat("%d s", seconds);
  if (hours == 0) return absl::StrFormat("%d min %02d s", minutes, seconds % 60);
  if (hours < 24) return absl::StrFormat("%d h %02d min", hours, minutes % 60);
  return absl::StrFormat("%d d %02d h", hours / 24, hours % 24);
}

}  // namespace retort::pipelines
