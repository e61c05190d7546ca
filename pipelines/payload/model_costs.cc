#include "retort/pipelines/payload/model_costs.h"

#include "ATen/ops/zeros.h"

#include "retort/nn/build_model.h"
#include "retort/nn/graph/costs.h"
#include "retort/nn/graph/recording.h"

namespace retort::pipelines {

std::vector<std::pair<std::string, double>> ModelCosts(nn::Model* model, const nn::ModelShape& shape) {
  std::vector<std::pair<std::string, double>> costs = {
      {"parameters", static_cast<double>(nn::CountParameters(*model))}};
  const auto recording = nn::Record(model, at::zeros({1, shape.channels, shape.height, shape.width}), {});
  if (!recording.ok()) return costs;
  int64_t macs = 0;
  for (const nn::LayerCost& layer : nn::LayerCosts(*recording)) macs += layer.macs;
  costs.emplace_back("macs", static_cast<double>(macs));
  return costs;
}

}  // namespace retort::pipelines
