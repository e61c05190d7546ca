#include "retort/nn/module_model.h"

namespace retort::nn {
namespace {

std::vector<NamedTensor> ToList(const torch::OrderedDict<std::string, at::Tensor>& tensors) {
  std::vector<NamedTensor> list;
  list.reserve(tensors.size());
  for (const auto& item : tensors) list.emplace_back(item.key(), item.value());
  return list;
}

}  // namespace

std::vector<NamedTensor> ModuleModel::Parameters() const { return ToList(root_->named_parameters()); }

std::vector<NamedTensor> ModuleModel::Buffers() const { return ToList(root_->named_buffers()); }

void ModuleModel::SetTraining(bool training) { root_->train(training); }

}  // namespace retort::nn
