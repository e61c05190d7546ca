#include "retort/pipelines/stages/inputs.h"

#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/file.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/payload/payload.pb.h"

namespace retort::pipelines {

absl::StatusOr<data::DatasetSplits> OpenInputDataset(const StageContext& context) {
  RETORT_ASSIGN_OR_RETURN(const StageInput* input, context.Input("data"));
  return data::OpenDataset(input->artifact.File("dataset.safetensors"));
}

absl::StatusOr<absl::optional<data::ViewPlan>> OpenInputViews(const StageContext& context) {
  const StageInput* input = context.FindInput("views");
  if (input == nullptr) return absl::nullopt;
  const std::string path = input->artifact.File("views.textproto");
  RETORT_ASSIGN_OR_RETURN(const std::string text, data::ReadFile(path));
  config::ViewSet views;
  if (!google::protobuf::TextFormat::ParseFromString(text, &views)) {
    return absl::DataLossError(absl::StrCat(path, " is no plan of views"));
  }
  if (views.step().empty()) return absl::nullopt;
  RETORT_ASSIGN_OR_RETURN(data::ViewPlan plan,
                          data::ViewPlan::Create(views.step(), views.seed(), data::MixPlan::Partners::kOfDataset));
  return plan;
}

bool ChannelsLast(const StageContext& context) {
  return context.pipeline->numerics().memory_format() == config::Numerics::CHANNELS_LAST;
}

absl::StatusOr<data::Batcher> MakeBatcher(const StageContext& context, const data::Dataset* dataset,
                                          const data::ViewPlan& plan, const data::ChannelStatistics& normalization) {
  return data::Batcher::Create(
      dataset, plan, normalization,
      ChannelsLast(context) ? data::Batcher::Layout::kChannelsLast : data::Batcher::Layout::kContiguous);
}

std::vector<int64_t> EveryIndex(const data::Dataset& dataset) {
  std::vector<int64_t> index(static_cast<size_t>(dataset.size));
  std::iota(index.begin(), index.end(), 0);
  return index;
}

}  // namespace retort::pipelines
