// Reading what earlier stages made.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"

#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines {

// Images a batch where nothing is trained.
inline constexpr int64_t kEvaluationBatch = 500;

// The data set of the input "data".
absl::StatusOr<data::DatasetSplits> OpenInputDataset(const StageContext& context);

// The stored views of the input "views", partners of mixed ones drawn from the whole data set; nothing where there is
// no such input, or it leaves every image as it is.
absl::StatusOr<absl::optional<data::ViewPlan>> OpenInputViews(const StageContext& context);

// Whether the config's numerics ask for channels_last.
bool ChannelsLast(const StageContext& context);

// A batcher in the layout that the config's numerics ask for. `dataset` must outlive it.
absl::StatusOr<data::Batcher> MakeBatcher(const StageContext& context, const data::Dataset* dataset,
                                          const data::ViewPlan& plan, const data::ChannelStatistics& normalization);

// 0 .. N-1
std::vector<int64_t> EveryIndex(const data::Dataset& dataset);

}  // namespace retort::pipelines
