#include "retort/pipelines/config/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace retort::pipelines {
namespace {

template <typename T>
std::string Shortest(T value) {
  constexpr double kWhole = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) < kWhole && !(value == 0 && std::signbit(value))) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  char text[64];
  const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

}  // namespace

std::string NumberText(double value) { return std::isnan(value) ? "nan" : Shortest(value); }
std::string NumberText(float value) { return std::isnan(value) ? "nan" : Shortest(value); }

}  // namespace retort::pipelines
