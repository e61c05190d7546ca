// What a model costs, for the metrics of the stages that make or measure one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "retort/nn/model.h"

namespace retort::pipelines {

// "parameters", and "macs": multiply-accumulates of a forward pass over one image (nn/graph/costs.h), left out where
// the pass cannot be recorded. Leaves the model in evaluation mode.
std::vector<std::pair<std::string, double>> ModelCosts(nn::Model* model, const nn::ModelShape& shape);

}  // namespace retort::pipelines
