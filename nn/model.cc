#include "retort/nn/model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::nn {

absl::Status CheckShape(const ModelShape& shape, absl::string_view family) {
  if (shape.channels >= 1 && shape.height >= 1 && shape.width >= 1 && shape.classes >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(family, " cannot take ", shape.height, "x", shape.width, "x",
                                                 shape.channels, " images of ", shape.classes,
                                                 " classes: all four must be positive"));
}

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
