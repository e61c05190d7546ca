#include "retort/kd/targets/target_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/aminmax.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/topk.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "retort/data/io/status_macros.h"

namespace retort::kd {
namespace {

constexpr char kLogits[] = "logits";
constexpr char kEmbedding[] = "embedding";
constexpr char kMap[] = "map.";
constexpr char kGradientMap[] = "gradient_map.";
constexpr char kInputGradient[] = "input_gradient";
constexpr char kAffine[] = ".affine";
constexpr char kIndex[] = ".index";
constexpr char kLogSumExp[] = ".log_sum_exp";
constexpr int64_t kMostShortClasses = 32767;

// [n] -> [n,1,...], to stand beside `rows`.
at::Tensor BesideRows(const at::Tensor& column, const at::Tensor& rows) {
  std::vector<int64_t> shape(static_cast<size_t>(rows.dim()), 1);
  shape[0] = rows.size(0);
  return column.reshape(shape);
}

// The greatest absolute value, NaN where there is one; 0 of nothing.
double Greatest(const at::Tensor& rows) {
  if (rows.numel() == 0) return 0;
  const auto [least, most] = at::aminmax(rows);
  return std::max(std::abs(least.item<double>()), std::abs(most.item<double>()));
}

absl::Status PutRows(config::StoredTargets::Precision precision, const std::string& name, const at::Tensor& rows,
                     std::map<std::string, at::Tensor>* stored) {
  switch (precision) {
    case config::StoredTargets::FP32:
      (*stored)[name] = rows.contiguous();
      return absl::OkStatus();
    case config::StoredTargets::FP16: {
      // Half the next number after the greatest, which is rounded to infinity.
      constexpr double kBeyond = 65520;
      if (const double most = Greatest(rows); most >= kBeyond) {
        return absl::InvalidArgumentError(absl::StrCat("the teacher's ", name, " reaches ", most,
                                                       ", beyond what FP16 holds (65504); store it as BF16 or FP32"));
      }
      (*stored)[name] = rows.contiguous().to(at::kHalf);
      return absl::OkStatus();
    }
    case config::StoredTargets::BF16:
      (*stored)[name] = rows.contiguous().to(at::kBFloat16);
      return absl::OkStatus();
    case config::StoredTargets::INT8: {
      const at::Tensor flat = rows.flatten(1);
      const at::Tensor least = flat.amin(1), scale = (flat.amax(1) - least) / 255;
      const at::Tensor steps = (rows - BesideRows(least, rows)) / BesideRows(scale.clamp_min(1e-38), rows);
      (*stored)[name] = steps.round().clamp(0, 255).contiguous().to(at::kByte);
      (*stored)[name + kAffine] = at::stack({least, scale}, 1);
      return absl::OkStatus();
    }
  }
  return absl::InternalError("no such precision");
}

absl::Status PutTopK(const config::StoredTargets& contents, const at::Tensor& logits,
                     std::map<std::string, at::Tensor>* stored) {
  if (contents.top_k() > logits.size(1)) {
    return absl::InvalidArgumentError(absl::StrCat("top_k is ", contents.top_k(), ", but the teacher has ",
                                                   logits.size(1), " classes; permitted: 0 (all) to that"));
  }
  const auto [values, classes] = at::topk(logits, contents.top_k(), 1);
  RETORT_RETURN_IF_ERROR(PutRows(contents.precision(), kLogits, values, stored));
  (*stored)[std::string(kLogits) + kIndex] =
      classes.contiguous().to(logits.size(1) <= kMostShortClasses ? at::kShort : at::kInt);
  (*stored)[std::string(kLogits) + kLogSumExp] = at::logsumexp(logits, at::IntArrayRef(1)).contiguous();
  return absl::OkStatus();
}

}  // namespace

TargetRequest RequestFor(const config::StoredTargets& contents) {
  TargetRequest request;
  request.logits = contents.logits();
  request.embedding = contents.embedding();
  request.maps.assign(contents.map().begin(), contents.map().end());
  request.gradients.maps.assign(contents.gradient_map().begin(), contents.gradient_map().end());
  request.gradients.images = contents.input_gradient();
  return request;
}

absl::Status CheckContents(const config::StoredTargets& contents, const TargetRequest& request) {
  if (!request.taps.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a target cache holds no features, and the objective reads the teacher's tap ",
                     absl::StrJoin(request.taps, ", "),
                     "; run the teacher itself (teacher: instead of targets:); attention can do with stored maps "
                     "(pooling: MAP)"));
  }
  std::vector<std::string> remedies;
  const auto missing = [](const auto& wanted, const auto& there, const char* field, std::vector<std::string>* found) {
    for (const std::string& tap : wanted) {
      if (std::find(there.begin(), there.end(), tap) == there.end()) {
        found->push_back(absl::StrCat(field, ": \"", tap, "\""));
      }
    }
  };
  if (request.logits && !contents.logits()) remedies.push_back("logits: true");
  if (request.embedding && !contents.embedding()) remedies.push_back("embedding: true");
  missing(request.maps, contents.map(), "map", &remedies);
  missing(request.gradients.maps, contents.gradient_map(), "gradient_map", &remedies);
  if (request.gradients.images && !contents.input_gradient()) remedies.push_back("input_gradient: true");
  if (remedies.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the objective reads what the target cache does not store; add there: ", absl::StrJoin(remedies, ", ")));
}

std::vector<std::string> TargetNames(const TargetRequest& request) {
  std::vector<std::string> names;
  if (request.logits) names.push_back(kLogits);
  if (request.embedding) names.push_back(kEmbedding);
  for (const std::string& tap : request.maps) names.push_back(kMap + tap);
  for (const std::string& tap : request.gradients.maps) names.push_back(kGradientMap + tap);
  if (request.gradients.images) names.push_back(kInputGradient);
  return names;
}

at::Tensor& TargetOf(Targets& targets, absl::string_view name) {
  if (name == kLogits) return targets.logits;
  if (name == kEmbedding) return targets.embedding;
  if (absl::ConsumePrefix(&name, kMap)) return targets.maps[std::string(name)];
  if (absl::ConsumePrefix(&name, kGradientMap)) return targets.gradients.maps[std::string(name)];
  return targets.gradients.images;
}

absl::StatusOr<std::map<std::string, at::Tensor>> Encode(const config::StoredTargets& contents,
                                                         const Targets& targets) {
  std::map<std::string, at::Tensor> stored;
  Targets given = targets;
  for (const std::string& name : TargetNames(RequestFor(contents))) {
    const at::Tensor rows = TargetOf(given, name);
    if (!rows.defined() || rows.dim() < 2 || rows.scalar_type() != at::kFloat) {
      return absl::InvalidArgumentError(absl::StrCat("the teacher gave no f32 ", name, " of a row an image"));
    }
    if (!std::isfinite(Greatest(rows))) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the teacher's ", name, " holds NaN or infinity: it has diverged; train it anew with a lower learning_rate"));
    }
    RETORT_RETURN_IF_ERROR(name == kLogits && contents.top_k() > 0
                               ? PutTopK(contents, rows, &stored)
                               : PutRows(contents.precision(), name, rows.detach(), &stored));
  }
  return stored;
}

Targets Decode(const config::StoredTargets& contents, const TargetRequest& request, int64_t classes,
               const std::function<at::Tensor(const std::string& name)>& stored) {
  const auto values = [&](const std::string& name) {
    const at::Tensor rows = stored(name);
    if (rows.scalar_type() != at::kByte) return rows.to(at::kFloat);
    const at::Tensor affine = stored(name + kAffine);
    return rows.to(at::kFloat) * BesideRows(affine.select(1, 1), rows) + BesideRows(affine.select(1, 0), rows);
  };
  Targets targets;
  for (const std::string& name : TargetNames(request)) {
    at::Tensor& target = TargetOf(targets, name);
    target = values(name);
    if (name != kLogits || contents.top_k() == 0) continue;
    target = target - stored(std::string(kLogits) + kLogSumExp).unsqueeze(1);
    if (contents.top_k() < classes) {
      // Rounding may leave less than nothing.
      const at::Tensor left = (1 - target.exp().sum(1, /*keepdim=*/true)).clamp_min(1e-12);
      target = (left / (classes - contents.top_k()))
                   .log()
                   .expand({target.size(0), classes})
                   .scatter(1, stored(std::string(kLogits) + kIndex).to(at::kLong), target);
    } else {
      target = target.new_empty(target.sizes()).scatter(1, stored(std::string(kLogits) + kIndex).to(at::kLong), target);
    }
  }
  return targets;
}

}  // namespace retort::kd
