// Help for a name that is not there.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace retort::pipelines {

// The name that `given` most likely stands for: the least number of inserted, deleted, replaced or swapped neighbouring
// letters, upper and lower case alike; the first in order of the alphabet where several are as near. Empty where none
// is nearer than a third of its length (one letter for short ones).
std::string Closest(absl::string_view given, const std::vector<std::string>& names);

// "permitted: a, b, c; did you mean "b"?", in order of the alphabet, without the question where nothing is near. At
// most 20 names are listed.
std::string Permitted(absl::string_view given, std::vector<std::string> names);

}  // namespace retort::pipelines
