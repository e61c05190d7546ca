// Reading what earlier stages made.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "retort/data/batcher.h"
#include "retort/data/dataset.h"
#include "retort/data/views/view_plan.h"
#include "retort/pipelines/payload/payload.pb.h"
#include "retort/pipelines/stage.h"

namespace retort::pipelines {

// Images a batch where nothing is trained.
inline constexpr int64_t kEvaluationBatch = 500;

// The data set of the input "data".
absl::StatusOr<data::DatasetSplits> OpenInputDataset(const StageContext& context);

// views.textproto of the input "views"; no steps, every image as it is, where there is no such input.
absl::StatusOr<config::ViewSet> OpenInputViews(const StageContext& context);

// Whether the config's numerics ask for channels_last.
bool ChannelsLast(const StageContext& context);

// A batcher in the layout that the config's numerics ask for. `dataset` must outlive it.
absl::StatusOr<data::Batcher> MakeBatcher(const StageContext& context, const data::Dataset* dataset,
                                          const data::ViewPlan& plan, const data::ChannelStatistics& normalization);

// 0 .. N-1
std::vector<int64_t> EveryIndex(const data::Dataset& dataset);

}  // namespace retort::pipelines
