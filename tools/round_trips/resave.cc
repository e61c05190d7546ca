// Reads lines "IN<tab>OUT" from standard input, loads each weight file IN and writes its tensors and metadata to OUT as
// safetensors. Answers each with a line: "ok", or the error.
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/weight_file.h"
#include "retort/nn/weights.h"

namespace {

absl::Status Resave(const std::string& in, const std::string& out) {
  RETORT_ASSIGN_OR_RETURN(const retort::data::WeightFile file, retort::data::WeightFile::Open(in));
  RETORT_RETURN_IF_ERROR(file.Verify());
  std::vector<retort::nn::NamedTensor> tensors;
  for (const retort::data::StridedView& view : file.tensors()) {
    RETORT_ASSIGN_OR_RETURN(at::Tensor tensor, retort::nn::AsTensor(view));
    tensors.emplace_back(view.name, std::move(tensor));
  }
  return retort::nn::SaveTensors(out, tensors, file.metadata());
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const std::pair<std::string, std::string> paths = absl::StrSplit(line, absl::MaxSplits('\t', 1));
    const absl::Status status = Resave(paths.first, paths.second);
    const std::string answer = status.ok() ? "ok" : status.ToString();
    std::cout << absl::StrReplaceAll(answer, {{"\n", " "}}) << std::endl;
  }
}
