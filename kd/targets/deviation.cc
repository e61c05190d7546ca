#include "retort/kd/targets/deviation.h"

#include <string>

#include "ATen/TensorOperators.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/topk.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/match.h"

#include "retort/kd/targets/target_rows.h"

namespace retort::kd {
namespace {

constexpr double kUnits = 1.0 / 65536;
// Of p_label = 1 in f32 one knows no more.
constexpr double kLeastError = 1.0 / 16777216;

// Half a step of numbers [n,m].
at::Tensor HalfStep(config::StoredTargets::Precision precision, const at::Tensor& exact) {
  switch (precision) {
    case config::StoredTargets::FP32:
      break;
    case config::StoredTargets::FP16:
      return (exact.abs() / 2048).clamp_min(1.0 / (1 << 25));
    case config::StoredTargets::BF16:
      return exact.abs() / 256;
    case config::StoredTargets::INT8:
      return ((exact.amax(1, /*keepdim=*/true) - exact.amin(1, /*keepdim=*/true)) / 510).expand_as(exact);
  }
  return at::zeros_like(exact);
}

}  // namespace

Deviation DeviationOf(const config::StoredTargets& contents, absl::string_view name, const at::Tensor& stored,
                      const Targets& exact, const at::Tensor& labels) {
  Targets targets = exact;
  at::Tensor there = stored.flatten(1).to(at::kDouble), wanted = TargetOf(targets, name).flatten(1).to(at::kDouble);
  const at::Tensor logits = exact.logits.to(at::kDouble);
  at::Tensor size = wanted.abs().amax(1);
  if (name == "logits" && contents.top_k() > 0) {
    // Logarithms of probabilities are read back, and those of the other classes are a mean.
    const at::Tensor classes = std::get<1>(at::topk(there, contents.top_k(), 1));
    there = there.gather(1, classes) + at::logsumexp(logits, at::IntArrayRef(1), /*keepdim=*/true);
    wanted = wanted.gather(1, classes);
  } else if (absl::StartsWith(name, "gradient_map.") || name == "input_gradient") {
    const at::Tensor log_probability = logits.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1);
    size = size / (-log_probability.expm1()).clamp_min(kLeastError);
  }
  const at::Tensor beyond = (there - wanted).abs() - HalfStep(contents.precision(), wanted);
  return {beyond.clamp_min(0).amax(1), size * kUnits};
}

}  // namespace retort::kd
