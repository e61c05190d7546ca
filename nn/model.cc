#include "retort/nn/model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::nn {

absl::Status CheckRequest(const Model& model, const Request& request, absl::string_view whose) {
  const std::vector<std::string> taps = model.TapNames();
  for (const std::string& tap : request.taps) {
    if (std::find(taps.begin(), taps.end(), tap) == taps.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the ", whose, " has no tap \"", tap, "\"; it has ", absl::StrJoin(taps, ", ")));
    }
  }
  return absl::OkStatus();
}

}  // namespace retort::nn
