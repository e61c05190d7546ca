#include "retort/kd/terms/shapes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace retort::kd {

std::string ShapeText(const at::Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ","), "]");
}

}  // namespace retort::kd
