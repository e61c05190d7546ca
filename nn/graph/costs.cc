#include "retort/nn/graph/costs.h"

#include <set>

#include "absl/strings/string_view.h"

namespace retort::nn {
namespace {

const RecordedValue& ValueAt(const Recording& recording, int position) {
  return recording.values[static_cast<size_t>(position)];
}

// "layer1.0.conv1" of "layer1.0.conv1.weight"
std::string Owner(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

// Parameters and buffers that the values of a recording are made from, where no image enters.
class Origins {
 public:
  explicit Origins(const Recording& recording) : recording_(recording), of_(recording.values.size()) {
    for (size_t i = 0; i < recording.values.size(); ++i) {
      if (!recording.values[i].name.empty()) of_[i] = {static_cast<int>(i)};
    }
    for (const RecordedOp& op : recording.ops) {
      const std::vector<int> origins = Of(op);
      for (const int output : op.outputs) {
        if (ValueAt(recording, output).constant) of_[static_cast<size_t>(output)] = origins;
      }
    }
  }

  // In the order of the arguments.
  std::vector<int> Of(const RecordedOp& op) const {
    std::vector<int> origins;
    for (const int input : op.Tensors()) {
      const std::vector<int>& more = of_[static_cast<size_t>(input)];
      origins.insert(origins.end(), more.begin(), more.end());
    }
    return origins;
  }

 private:
  const Recording& recording_;
  std::vector<std::vector<int>> of_;
};

}  // namespace

int64_t MultiplyAccumulates(const Recording& recording, const RecordedOp& op) {
  const auto shape = [&](absl::string_view argument) { return ValueAt(recording, op.Tensor(argument)).tensor.sizes(); };
  const int64_t outputs = ValueAt(recording, op.outputs[0]).tensor.numel();
  if (op.name == "conv2d") {
    const at::IntArrayRef weight = shape("weight");  // [C_out,C_in/groups,H,W]
    return outputs * weight[1] * weight[2] * weight[3];
  }
  if (op.name == "linear") return outputs * shape("weight").back();
  if (op.name == "matmul") return outputs * shape("self").back();
  if (op.name == "mm" || op.name == "bmm") return outputs * shape("self").back();
  if (op.name == "addmm") return outputs * shape("mat1").back();
  if (op.name == "baddbmm") return outputs * shape("batch1").back();
  if (op.name == "scaled_dot_product_attention") {
    const at::IntArrayRef query = shape("query"), key = shape("key"), value = shape("value");
    const int64_t queries = c10::multiply_integers(query.slice(0, query.size() - 1));
    return queries * key[static_cast<size_t>(key.size() - 2)] * (query.back() + value.back());
  }
  return 0;
}

std::vector<LayerCost> LayerCosts(const Recording& recording) {
  const Origins origins(recording);
  std::set<int> used;
  std::vector<LayerCost> layers;
  for (const RecordedOp& op : recording.ops) {
    const RecordedValue& result = ValueAt(recording, op.outputs[0]);
    if (result.constant) continue;
    const std::vector<int> weights = origins.Of(op);
    const int64_t macs = MultiplyAccumulates(recording, op);
    if (layers.empty() || macs > 0 || !weights.empty()) {
      layers.emplace_back();
      if (!weights.empty()) layers.back().layer = Owner(ValueAt(recording, weights[0]).name);
    }
    LayerCost& layer = layers.back();
    layer.ops.push_back(op.name);
    layer.output_shape = result.tensor.sizes().vec();
    layer.macs += macs;
    for (const int weight : weights) {
      const RecordedValue& value = ValueAt(recording, weight);
      if (value.source == RecordedValue::Source::kParameter && used.insert(weight).second) {
        layer.parameters += value.tensor.numel();
      }
    }
    for (const int output : op.outputs) {
      const RecordedValue& value = ValueAt(recording, output);
      if (value.allocated) layer.activation_bytes += static_cast<int64_t>(value.tensor.nbytes());
    }
  }
  LayerCost unused;
  unused.layer = "(unused)";
  for (size_t i = 0; i < recording.values.size(); ++i) {
    const RecordedValue& value = recording.values[i];
    if (value.source == RecordedValue::Source::kParameter && used.count(static_cast<int>(i)) == 0) {
      unused.parameters += value.tensor.numel();
    }
  }
  if (unused.parameters > 0) layers.push_back(unused);
  return layers;
}

}  // namespace retort::nn
