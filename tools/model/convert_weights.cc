#include "retort/tools/model/convert_weights.h"

#include <map>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/ops/isfinite.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/model.h"
#include "retort/nn/weights.h"

namespace retort::tools {
absl::StatusOr<std::vector<std::string>> ConvertWeights(const std::string& in, const std::string& out,
                                                        const WeightConversion& conversion) {
  RETORT_ASSIGN_OR_RETURN(const data::WeightFile file, data::WeightFile::Open(in, conversion.state_dict));
  RETORT_RETURN_IF_ERROR(file.Verify());
  std::vector<nn::NamedTensor> tensors;
  for (const data::StridedView& view : file.tensors()) {
    RETORT_ASSIGN_OR_RETURN(at::Tensor tensor, nn::AsTensor(view));
    if (conversion.type.has_value() && tensor.is_floating_point()) {
      const at::Tensor converted = tensor.to(*conversion.type);
      if (at::isfinite(converted).sum().item<int64_t>() != at::isfinite(tensor.to(at::kFloat)).sum().item<int64_t>()) {
        return absl::InvalidArgumentError(absl::StrCat(in, ": \"", view.name, "\" has numbers that ",
                                                       c10::toString(*conversion.type),
                                                       " cannot hold; choose bf16 or f32"));
      }
      tensor = converted;
    }
    tensors.emplace_back(view.name, tensor);
  }
  std::map<std::string, std::string> metadata = file.metadata();
  metadata.erase("retort.sha256");  // of the file that was read
  RETORT_RETURN_IF_ERROR(nn::SaveTensors(out, tensors, metadata));
  return file.others();
}

}  // namespace retort::tools
