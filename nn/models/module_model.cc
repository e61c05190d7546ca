#include "retort/nn/models/module_model.h"

#include <algorithm>

#include "ATen/ops/relu.h"

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

bool TapKeeper::Wants(const std::string& name) const {
  return std::find(request_.taps.begin(), request_.taps.end(), name) != request_.taps.end();
}

void TapKeeper::Keep(const std::string& name, const at::Tensor& x) {
  if (Wants(name)) outputs_.taps[name] = x;
}

at::Tensor TapKeeper::Relu(const std::string& name, at::Tensor x) {
  const std::string preactivation = name + ".preact";
  if (Wants(preactivation)) {
    Keep(preactivation, x);
    x = at::relu(x);
  } else {
    x.relu_();
  }
  Keep(name, x);
  return x;
}

std::vector<std::string> WithPreactivations(const std::vector<std::string>& names) {
  std::vector<std::string> both;
  for (const std::string& name : names) {
    both.push_back(name + ".preact");
    both.push_back(name);
  }
  return both;
}

}  // namespace retort::nn
