#include "retort/pipelines/config/did_you_mean.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::pipelines {
namespace {

// Optimal string alignment distance.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string Closest(absl::string_view given, const std::vector<std::string>& names) {
  constexpr size_t kLongest = 100;  // beyond, nothing is a slip of the finger
  std::string closest;
  if (given.size() > kLongest) return closest;
  const std::string lower = absl::AsciiStrToLower(given);
  size_t least = 0;
  for (const std::string& name : names) {
    if (name.size() > kLongest) continue;
    const size_t distance = Distance(lower, absl::AsciiStrToLower(name));
    if (distance > std::max<size_t>(1, name.size() / 3)) continue;
    if (closest.empty() || distance < least || (distance == least && name < closest)) {
      closest = name;
      least = distance;
    }
  }
  return closest;
}

std::string Permitted(absl::string_view given, std::vector<std::string> names) {
  constexpr size_t kListed = 20;
  if (names.empty()) return "permitted: none";
  const std::string closest = Closest(given, names);
  std::sort(names.begin(), names.end());
  const size_t more = names.size() > kListed ? names.size() - kListed : 0;
  names.resize(names.size() - more);
  return absl::StrCat("permitted: ", absl::StrJoin(names, ", "), more > 0 ? absl::StrCat(" and ", more, " more") : "",
                      closest.empty() ? "" : absl::StrCat("; did you mean \"", closest, "\"?"));
}

}  // namespace retort::pipelines
