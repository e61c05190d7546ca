// The costs of a model's forward pass, for people and for programs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

#include "retort/nn/graph/costs.h"

namespace retort::tools {

struct ModelCosts {
  // Of one image.
  std::vector<nn::LayerCost> layers;
  // Logits, embedding and taps with their shapes.
  std::vector<std::pair<std::string, std::vector<int64_t>>> outputs;
};

// A line a layer, then the sums, then the outputs.
std::string LayerTable(const ModelCosts& costs);

// {"layers": [{"layer", "ops", "output_shape", "parameters", "macs", "activation_bytes"}], "parameters", "macs",
// "activation_bytes", "outputs": [{"name", "shape"}]}
nlohmann::ordered_json LayerTableJson(const ModelCosts& costs);

}  // namespace retort::tools
