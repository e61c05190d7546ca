#include "retort/kd/target_cache.h"

#include <algorithm>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/from_blob.h"
#include "ATen/ops/isfinite.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "retort/data/io/status_macros.h"
#include "retort/nn/weights.h"

namespace retort::kd {
namespace {

std::string Shape(const at::Tensor& tensor) { return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ","), "]"); }

absl::Span<const int64_t> Positions(const at::Tensor& positions) {
  return absl::MakeConstSpan(positions.const_data_ptr<int64_t>(), positions.numel());
}

// OutOfRange unless every one of `positions`, i64 [n], is in [0, limit).
absl::Status CheckPositions(absl::string_view what, const at::Tensor& positions, int64_t limit) {
  if (positions.scalar_type() != at::kLong || positions.dim() != 1 || !positions.is_contiguous()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " must be a contiguous i64 vector; its shape is ", Shape(positions)));
  }
  for (const int64_t position : Positions(positions)) {
    if (position < 0 || position >= limit) {
      return absl::OutOfRangeError(absl::StrCat(what, " ", position, " is outside the target cache, which has 0 to ",
                                                limit - 1, "; were the targets made for this data set?"));
    }
  }
  return absl::OkStatus();
}

// [B,width] `values` in the stored type, checked.
absl::StatusOr<at::Tensor> Stored(absl::string_view what, const at::Tensor& values, int64_t batch,
                                  const at::Tensor& table, at::ScalarType type) {
  if (!values.defined() || values.dim() != 2 || values.size(0) != batch ||
      (table.defined() && values.size(1) != table.size(2))) {
    return absl::InvalidArgumentError(absl::StrCat("the teacher's ", what, " of ", batch, " images must be [", batch,
                                                   ",", table.defined() ? absl::StrCat(table.size(2)) : "width",
                                                   "]; it is ", values.defined() ? Shape(values) : "missing"));
  }
  if (!at::isfinite(values).all().item<bool>()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the teacher's ", what, " holds NaN or infinity: it has diverged; train it anew with a lower learning_rate"));
  }
  at::Tensor stored = values.detach().to(type);
  if (!at::isfinite(stored).all().item<bool>()) {
    return absl::InvalidArgumentError(absl::StrCat("the teacher's ", what, " reaches ",
                                                   values.abs().max().item<double>(),
                                                   ", beyond what FP16 holds (65504); store it as FP32"));
  }
  return stored;
}

// Copies row b of `rows` [B,width] to (view, index[b]) of `table` [V,N,width], which is made if it is not there yet.
void PutRows(at::Tensor& table, int64_t views, int64_t samples, int64_t view, const at::Tensor& index,
             const at::Tensor& rows) {
  if (!table.defined()) table = at::zeros({views, samples, rows.size(1)}, rows.options());
  table.select(0, view).index_copy_(0, index, rows);
}

// The tensor `name` [V,N,width] of an open file, without a copy.
absl::StatusOr<at::Tensor> MapTable(const data::SafetensorsFile& file, absl::string_view name) {
  RETORT_ASSIGN_OR_RETURN(const data::TensorView view, file.Find(name));
  const bool half = view.dtype == data::DType::kF16;
  if (view.shape.size() != 3 || !(half || view.dtype == data::DType::kF32)) {
    return absl::DataLossError(
        absl::StrFormat("%s: %s must be F32 or F16 [V,N,*]; it is %s [%s]; make the targets anew", file.path(), name,
                        data::DTypeName(view.dtype), absl::StrJoin(view.shape, ",")));
  }
  // Never written to: the pages are read-only.
  return at::from_blob(const_cast<uint8_t*>(view.bytes.data()), view.shape, half ? at::kHalf : at::kFloat);
}

}  // namespace

TargetCacheBuilder::TargetCacheBuilder(int64_t views, int64_t samples, bool embedding, TargetPrecision precision)
    : embedding_(embedding), present_(at::zeros({views, samples}, at::kBool)), precision_(precision) {}

absl::Status TargetCacheBuilder::Put(int64_t view, const at::Tensor& index, const nn::Outputs& outputs) {
  const int64_t views = present_.size(0), samples = present_.size(1);
  if (view < 0 || view >= views) {
    return absl::OutOfRangeError(
        absl::StrCat("view ", view, " is outside the target cache, which has 0 to ", views - 1));
  }
  RETORT_RETURN_IF_ERROR(CheckPositions("image", index, samples));
  at::Tensor present = present_.select(0, view).clone();
  for (const int64_t image : Positions(index)) {
    bool& put = present.mutable_data_ptr<bool>()[image];
    if (put) {
      return absl::InvalidArgumentError(
          absl::StrCat("the targets of view ", view, ", image ", image, " were put before; put each once"));
    }
    put = true;
  }

  const at::ScalarType type = precision_ == TargetPrecision::kFp16 ? at::kHalf : at::kFloat;
  RETORT_ASSIGN_OR_RETURN(const at::Tensor logits, Stored("logits", outputs.logits, index.numel(), logits_, type));
  if (embedding_) {
    RETORT_ASSIGN_OR_RETURN(const at::Tensor embeddings,
                            Stored("embedding", outputs.embedding, index.numel(), embeddings_, type));
    PutRows(embeddings_, views, samples, view, index, embeddings);
  }
  PutRows(logits_, views, samples, view, index, logits);
  present_.select(0, view).copy_(present);
  return absl::OkStatus();
}

absl::Status TargetCacheBuilder::Write(const std::string& path) const {
  const int64_t samples = present_.size(1);
  const bool* const begin = present_.const_data_ptr<bool>();
  const bool* const missing = std::find(begin, begin + present_.numel(), false);
  if (missing != begin + present_.numel()) {
    return absl::FailedPreconditionError(absl::StrCat("the targets of view ", (missing - begin) / samples, ", image ",
                                                      (missing - begin) % samples,
                                                      " were never put; nothing is written to ", path));
  }
  std::vector<nn::NamedTensor> tensors = {{"logits", logits_}};
  if (embedding_) tensors.emplace_back("embedding", embeddings_);
  return nn::SaveTensors(path, tensors, {});
}

absl::StatusOr<TargetCache> TargetCache::Open(const std::string& path) {
  RETORT_ASSIGN_OR_RETURN(const data::SafetensorsFile file, data::SafetensorsFile::Open(path));
  RETORT_RETURN_IF_ERROR(file.VerifyOwn());
  TargetCache cache;
  cache.storage_ = file.storage();
  RETORT_ASSIGN_OR_RETURN(cache.logits_, MapTable(file, "logits"));
  if (file.Find("embedding").ok()) {
    RETORT_ASSIGN_OR_RETURN(cache.embedding_, MapTable(file, "embedding"));
    if (cache.embedding_.sizes().slice(0, 2) != cache.logits_.sizes().slice(0, 2)) {
      return absl::DataLossError(absl::StrCat(path, ": logits ", Shape(cache.logits_), " and embedding ",
                                              Shape(cache.embedding_),
                                              " are of different images; make the targets anew"));
    }
  }
  return cache;
}

absl::StatusOr<nn::Outputs> TargetCache::Gather(const at::Tensor& view, const at::Tensor& index, bool embedding) const {
  RETORT_RETURN_IF_ERROR(CheckPositions("view", view, views()));
  RETORT_RETURN_IF_ERROR(CheckPositions("image", index, samples()));
  if (embedding && !has_embedding()) {
    return absl::FailedPreconditionError("the target cache holds no embeddings; make it with embedding: true");
  }
  const at::Tensor row = (view.unsqueeze(1) * samples() + index).flatten();  // [V*B]
  const auto gather = [&row](const at::Tensor& table) {
    return table.flatten(0, 1).index_select(0, row).to(at::kFloat);
  };
  nn::Outputs targets;
  targets.logits = gather(logits_);
  if (embedding) targets.embedding = gather(embedding_);
  return targets;
}

}  // namespace retort::kd
