#include "retort/kd/evaluate.h"

#include <cmath>

#include "ATen/TensorOperators.h"
#include "ATen/core/Reduction.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/bincount.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/zeros.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "retort/data/io/status_macros.h"

namespace retort::kd {

absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const data::Batcher& batcher, absl::Span<const int64_t> index,
                                    int64_t classes, int64_t batch_size) {
  if (index.empty()) return absl::InvalidArgumentError("there is no image to evaluate on");
  if (batch_size < 1) return absl::InvalidArgumentError(absl::StrCat("batch_size is ", batch_size, "; give 1 or more"));
  const at::NoGradGuard no_grad;
  model.SetTraining(false);
  const absl::Cleanup restore = [&model] { model.SetTraining(true); };

  Evaluation result;
  result.images = static_cast<int64_t>(index.size());
  at::Tensor confusion = at::zeros({classes * classes}, at::kLong);
  for (int64_t first = 0; first < result.images; first += batch_size) {
    RETORT_ASSIGN_OR_RETURN(const data::Batch batch, batcher.Assemble(index.subspan(first, batch_size), {0}));
    const at::Tensor logits = model.Forward(batch.images.flatten(0, 1), {}).logits.to(at::kDouble);
    if (logits.dim() != 2 || logits.size(1) != classes) {
      return absl::InvalidArgumentError(absl::StrCat("the model's logits are [", absl::StrJoin(logits.sizes(), ","),
                                                     "], and the data set has ", classes, " classes"));
    }
    result.loss += at::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Sum).item<double>();
    confusion += at::bincount(batch.labels * classes + logits.argmax(1), {}, classes * classes);
  }
  if (!std::isfinite(result.loss)) {
    return absl::DataLossError(
        "the model's logits are NaN or infinite: it has diverged; train it with a lower learning_rate");
  }
  result.loss /= static_cast<double>(result.images);
  const int64_t correct = confusion.view({classes, classes}).trace().item<int64_t>();
  result.accuracy = static_cast<double>(correct) / static_cast<double>(result.images);
  const int64_t* const counts = confusion.const_data_ptr<int64_t>();
  result.confusion.assign(counts, counts + confusion.numel());
  return result;
}

}  // namespace retort::kd
