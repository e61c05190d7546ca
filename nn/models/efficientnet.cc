#include "retort/nn/models/efficientnet.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/inverted_residual_network.h"

namespace retort::nn {
namespace {

// A row of the paper's table 1.
struct Stage {
  int64_t expansion;
  int64_t kernel;
  int64_t stride;
  int64_t width;
  int blocks;
  const char* tap;  // of its last block
};

constexpr Stage kStages[] = {
    {1, 3, 1, 16, 1, ""},        {6, 3, 2, 24, 2, "stage1"}, {6, 5, 2, 40, 2, "stage2"},  {6, 3, 2, 80, 3, ""},
    {6, 5, 1, 112, 3, "stage3"}, {6, 5, 2, 192, 4, ""},      {6, 3, 1, 320, 1, "stage4"},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeEfficientNet(const config::EfficientNet& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "efficientnet"));
  const auto scaled = [&](int64_t width) {
    return RoundToEight(static_cast<double>(width) * config.width_multiplier());
  };

  InvertedResidualNetwork architecture;
  architecture.activation = Activation::kSilu;
  architecture.stem_width = scaled(32);
  architecture.stem_name = "features.0";
  int64_t channels = architecture.stem_width;
  for (size_t stage = 0; stage < std::size(kStages); ++stage) {
    const int blocks = static_cast<int>(std::ceil(kStages[stage].blocks * config.depth_multiplier()));
    for (int i = 0; i < blocks; ++i) {
      InvertedResidualNetwork::Block block;
      block.name = absl::StrCat("features.", stage + 1, ".", i, ".block");
      block.expanded = RoundToEight(static_cast<double>(channels * kStages[stage].expansion));
      block.width = scaled(kStages[stage].width);
      block.kernel = kStages[stage].kernel;
      block.stride = i == 0 ? kStages[stage].stride : 1;
      block.activation = architecture.activation;
      block.squeezed = std::max<int64_t>(1, channels / 4);
      if (i + 1 == blocks) block.tap = kStages[stage].tap;
      channels = block.width;
      architecture.blocks.push_back(block);
    }
  }
  for (size_t i = 0; i < architecture.blocks.size(); ++i) {
    architecture.blocks[i].drop_path =
        config.drop_path() * static_cast<double>(i) / static_cast<double>(architecture.blocks.size());
  }
  architecture.head_width = 4 * channels;
  architecture.head_name = absl::StrCat("features.", std::size(kStages) + 1);
  architecture.classifier_name = "classifier.1";
  architecture.dropout = config.dropout();
  architecture.linear_deviation = 0;
  return MakeInvertedResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
