#include "retort/tools/compare/right_answers.h"

#include <cstdint>
#include <numeric>

#include "ATen/core/Tensor.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/isfinite.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

#include "retort/data/batcher.h"
#include "retort/data/io/status_macros.h"
#include "retort/pipelines/payload/trained_model.h"

namespace retort::tools {
namespace {

constexpr size_t kBatch = 500;

}  // namespace

absl::StatusOr<std::vector<bool>> RightAnswers(const pipelines::StoredArtifact& model, const data::Dataset& dataset,
                                               bool channels_last) {
  RETORT_ASSIGN_OR_RETURN(const pipelines::TrainedModel trained, pipelines::LoadTrainedModel(model, channels_last));
  RETORT_RETURN_IF_ERROR(pipelines::CheckFits(trained, dataset, trained.test_views));
  const auto layout = channels_last ? data::Batcher::Layout::kChannelsLast : data::Batcher::Layout::kContiguous;
  RETORT_ASSIGN_OR_RETURN(const data::Batcher batcher,
                          data::Batcher::Create(&dataset, trained.test_views, trained.normalization, layout));
  std::vector<int64_t> index(static_cast<size_t>(dataset.size));
  std::iota(index.begin(), index.end(), 0);
  std::vector<bool> right;
  const at::NoGradGuard no_grad;
  trained.model->SetTraining(false);
  for (size_t first = 0; first < index.size(); first += kBatch) {
    RETORT_ASSIGN_OR_RETURN(const data::Batch batch,
                            batcher.Assemble(absl::MakeConstSpan(index).subspan(first, kBatch), {0}));
    const at::Tensor logits = trained.model->Forward(batch.images.flatten(0, 1), {}).logits;
    if (!logits.isfinite().all().item<bool>()) {
      return absl::DataLossError(absl::StrCat(model.folder, ": logits are NaN or infinite: the model has diverged"));
    }
    const at::Tensor correct = logits.argmax(1).eq(batch.labels).contiguous();
    const bool* const values = correct.const_data_ptr<bool>();
    right.insert(right.end(), values, values + correct.numel());
  }
  return right;
}

}  // namespace retort::tools
