#include "retort/tools/model/layer_table.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace retort::tools {
namespace {

nn::LayerCost Sum(const std::vector<nn::LayerCost>& layers) {
  nn::LayerCost sum;
  for (const nn::LayerCost& layer : layers) {
    sum.parameters += layer.parameters;
    sum.macs += layer.macs;
    sum.activation_bytes += layer.activation_bytes;
  }
  return sum;
}

std::string ShapeText(const std::vector<int64_t>& shape) { return absl::StrCat("[", absl::StrJoin(shape, ","), "]"); }

// 1186986 -> 1,186,986
std::string Grouped(int64_t number) {
  std::string digits = absl::StrCat(number);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

}  // namespace

std::string LayerTable(const ModelCosts& costs) {
  using Row = std::array<std::string, 6>;
  std::vector<Row> rows = {{"layer", "operators", "output", "parameters", "MACs", "activation bytes"}};
  for (const nn::LayerCost& layer : costs.layers) {
    rows.push_back({layer.layer, absl::StrJoin(layer.ops, " "), layer.ops.empty() ? "" : ShapeText(layer.output_shape),
                    Grouped(layer.parameters), Grouped(layer.macs), Grouped(layer.activation_bytes)});
  }
  const nn::LayerCost sum = Sum(costs.layers);
  rows.push_back({"sum", "", "", Grouped(sum.parameters), Grouped(sum.macs), Grouped(sum.activation_bytes)});
  std::array<size_t, 6> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      // Text to the left, numbers to the right.
      const int width = static_cast<int>(widths[i]);
      absl::StrAppendFormat(&text, "%s%*s", i == 0 ? "" : "  ", i < 3 ? -width : width, row[i]);
    }
    text += "\n";
  }
  text += "\n";
  for (const auto& [name, shape] : costs.outputs) absl::StrAppendFormat(&text, "%-20s  %s\n", name, ShapeText(shape));
  return text;
}

nlohmann::ordered_json LayerTableJson(const ModelCosts& costs) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array(), outputs = nlohmann::ordered_json::array();
  for (const nn::LayerCost& layer : costs.layers) {
    layers.push_back({{"layer", layer.layer},
                      {"ops", layer.ops},
                      {"output_shape", layer.output_shape},
                      {"parameters", layer.parameters},
                      {"macs", layer.macs},
                      {"activation_bytes", layer.activation_bytes}});
  }
  for (const auto& [name, shape] : costs.outputs) outputs.push_back({{"name", name}, {"shape", shape}});
  const nn::LayerCost sum = Sum(costs.layers);
  return {{"layers", layers},
          {"parameters", sum.parameters},
          {"macs", sum.macs},
          {"activation_bytes", sum.activation_bytes},
          {"outputs", outputs}};
}

}  // namespace retort::tools
