#include "retort/nn/models/mobilenet_v3.h"

#include <vector>

#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/inverted_residual_network.h"

namespace retort::nn {
namespace {

// A row of the paper's tables 1 and 2.
struct Row {
  int64_t kernel;
  int64_t expanded;
  int64_t width;
  bool squeeze;
  Activation activation;
  int64_t stride;
  const char* tap = "";
};

constexpr Activation kRelu = Activation::kRelu;
constexpr Activation kSwish = Activation::kHardswish;

std::vector<Row> RowsOf(config::MobileNetV3::Size size) {
  switch (size) {
    case config::MobileNetV3::LARGE:
      return {
          {3, 16, 16, false, kRelu, 1},   {3, 64, 24, false, kRelu, 2},   {3, 72, 24, false, kRelu, 1, "stage1"},
          {5, 72, 40, true, kRelu, 2},    {5, 120, 40, true, kRelu, 1},   {5, 120, 40, true, kRelu, 1, "stage2"},
          {3, 240, 80, false, kSwish, 2}, {3, 200, 80, false, kSwish, 1}, {3, 184, 80, false, kSwish, 1},
          {3, 184, 80, false, kSwish, 1}, {3, 480, 112, true, kSwish, 1}, {3, 672, 112, true, kSwish, 1, "stage3"},
          {5, 672, 160, true, kSwish, 2}, {5, 960, 160, true, kSwish, 1}, {5, 960, 160, true, kSwish, 1, "stage4"},
      };
    case config::MobileNetV3::SMALL:
      return {
          {3, 16, 16, true, kRelu, 2, "stage1"},   {3, 72, 24, false, kRelu, 2},
          {3, 88, 24, false, kRelu, 1, "stage2"},  {5, 96, 40, true, kSwish, 2},
          {5, 240, 40, true, kSwish, 1},           {5, 240, 40, true, kSwish, 1},
          {5, 120, 48, true, kSwish, 1},           {5, 144, 48, true, kSwish, 1, "stage3"},
          {5, 288, 96, true, kSwish, 2},           {5, 576, 96, true, kSwish, 1},
          {5, 576, 96, true, kSwish, 1, "stage4"},
      };
  }
  return {};  // proto2 lets no other value through
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeMobileNetV3(const config::MobileNetV3& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "mobilenet_v3"));
  const auto scaled = [&](int64_t width) {
    return RoundToEight(static_cast<double>(width) * config.width_multiplier());
  };

  InvertedResidualNetwork architecture;
  architecture.activation = kSwish;
  architecture.gate = InvertedResidualNetwork::Gate::kHardSigmoid;
  architecture.norm_eps = 1e-3;
  architecture.norm_momentum = 0.01;
  architecture.stem_width = scaled(16);
  architecture.stem_name = "features.0";
  for (const Row& row : RowsOf(config.size())) {
    InvertedResidualNetwork::Block block;
    block.name = absl::StrCat("features.", architecture.blocks.size() + 1, ".block");
    block.expanded = scaled(row.expanded);
    block.width = scaled(row.width);
    block.kernel = row.kernel;
    block.stride = row.stride;
    block.activation = row.activation;
    if (row.squeeze) block.squeezed = RoundToEight(static_cast<double>(block.expanded / 4));
    block.tap = row.tap;
    architecture.blocks.push_back(block);
  }
  architecture.head_width = 6 * architecture.blocks.back().width;
  architecture.head_name = absl::StrCat("features.", architecture.blocks.size() + 1);
  architecture.hidden = scaled(config.size() == config::MobileNetV3::LARGE ? 1280 : 1024);
  architecture.hidden_name = "classifier.0";
  architecture.classifier_name = "classifier.3";
  architecture.dropout = config.dropout();
  return MakeInvertedResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
