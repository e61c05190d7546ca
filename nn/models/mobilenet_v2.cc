#include "retort/nn/models/mobilenet_v2.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/nn/models/inverted_residual_network.h"

namespace retort::nn {
namespace {

struct Stage {
  int64_t expansion;
  int64_t width;
  int blocks;
  int64_t stride;
  const char* tap;  // of its last block
};

constexpr Stage kStages[] = {
    {1, 16, 1, 1, ""},       {6, 24, 2, 2, "stage1"}, {6, 32, 3, 2, "stage2"},  {6, 64, 4, 2, ""},
    {6, 96, 3, 1, "stage3"}, {6, 160, 3, 2, ""},      {6, 320, 1, 1, "stage4"},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeMobileNetV2(const config::MobileNetV2& config, const ModelShape& shape) {
  RETORT_RETURN_IF_ERROR(CheckShape(shape, "mobilenet_v2"));
  const bool benchmark = config.form() == config::BENCHMARK;
  const double multiplier = config.width_multiplier();
  if (benchmark && multiplier * 16 < 1) {
    return absl::InvalidArgumentError(absl::StrCat("mobilenet_v2: width_multiplier ", multiplier,
                                                   " leaves no channel of 16; choose at least 0.0625"));
  }
  const auto scaled = [&](double width) {
    return benchmark ? static_cast<int64_t>(width * multiplier) : RoundToEight(width * multiplier);
  };
  const double head = 1280 * std::max(1.0, multiplier);

  InvertedResidualNetwork architecture;
  architecture.activation = benchmark ? Activation::kRelu : Activation::kRelu6;
  architecture.names =
      benchmark ? InvertedResidualNetwork::Names::kFlat : InvertedResidualNetwork::Names::kLastUngrouped;
  architecture.stem_width = scaled(32);
  architecture.stem_name = benchmark ? "conv1" : "features.0";
  int64_t channels = architecture.stem_width;
  for (size_t stage = 0; stage < std::size(kStages); ++stage) {
    for (int i = 0; i < kStages[stage].blocks; ++i) {
      InvertedResidualNetwork::Block block;
      block.name = benchmark ? absl::StrCat("blocks.", stage, ".", i, ".conv")
                             : absl::StrCat("features.", architecture.blocks.size() + 1, ".conv");
      block.expanded = kStages[stage].expansion * channels;
      block.width = scaled(static_cast<double>(kStages[stage].width));
      // The benchmark's images are small: the second stage does not shrink them.
      block.stride = i == 0 && !(benchmark && stage == 1) ? kStages[stage].stride : 1;
      block.activation = architecture.activation;
      if (i + 1 == kStages[stage].blocks) block.tap = kStages[stage].tap;
      channels = block.width;
      architecture.blocks.push_back(block);
    }
  }
  architecture.head_width = benchmark ? static_cast<int64_t>(head) : RoundToEight(head);
  architecture.head_name = benchmark ? "conv2" : absl::StrCat("features.", architecture.blocks.size() + 1);
  architecture.classifier_name = benchmark ? "classifier.0" : "classifier.1";
  if (config.has_dropout()) {
    architecture.dropout = config.dropout();
  } else {
    architecture.dropout = benchmark ? 0 : 0.2;
  }
  return MakeInvertedResidualNetwork(architecture, shape);
}

}  // namespace retort::nn
