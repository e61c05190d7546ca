#include "retort/ops/torch/autograd/softmax_loss.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/LegacyTypeDispatch.h"
#include "ATen/core/Reduction.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/log_sigmoid.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/logsumexp.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

#include "retort/ops/device.h"
#include "retort/ops/torch/autograd/with_backward.h"
#include "retort/ops/torch/call_on_tensors.h"

namespace retort::ops::torch {
namespace {

using Buffers = absl::Span<halide_buffer_t* const>;

// The formulas: each the mean over the batch.

// Beyond the classes a GPU takes the nearest one; the host has refused it.
at::Tensor NearestClass(const at::Tensor& labels, const at::Tensor& logits) {
  return labels.to(at::kLong).clamp(0, logits.size(1) - 1);
}

at::Tensor PlainCrossEntropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  return at::cross_entropy_loss(logits, NearestClass(labels, logits), /*weight=*/{}, at::Reduction::Mean,
                                /*ignore_index=*/-100, smoothing);
}

// p x, and 0 where p is 0, whatever x is.
at::Tensor OrZero(const at::Tensor& p, const at::Tensor& x) { return p * x.masked_fill(p == 0, 0); }

// p (log p - log q).
at::Tensor Divergence(const at::Tensor& log_p, const at::Tensor& log_q) { return OrZero(log_p.exp(), log_p - log_q); }

at::Tensor PlainKl(const at::Tensor& logits, const at::Tensor& teacher, double temperature) {
  return Divergence(at::log_softmax(teacher / temperature, 1), at::log_softmax(logits / temperature, 1)).sum() *
         (temperature * temperature / static_cast<double>(logits.size(0)));
}

// What is left is a difference: in f64.
at::Tensor Unpack(const at::Tensor& logits, const at::Tensor& values, const at::Tensor& indices,
                  const at::Tensor& log_sum_exp) {
  const double others = static_cast<double>(std::max<int64_t>(logits.size(1) - values.size(1), 1));
  const at::Tensor sum = log_sum_exp.to(at::kDouble);
  const at::Tensor left = (1 - (values.to(at::kDouble) - sum.unsqueeze(1)).exp().sum(1)).clamp_min(1e-30);
  const at::Tensor rest = (sum + (left / others).log()).to(logits.scalar_type());
  return rest.unsqueeze(1).expand_as(logits).scatter(1, NearestClass(indices, logits), values);
}

// The parts of decoupled distillation.
std::pair<at::Tensor, at::Tensor> PlainDkd(const at::Tensor& logits, const at::Tensor& teacher,
                                           const at::Tensor& labels, double temperature) {
  const at::Tensor label = NearestClass(labels, logits).unsqueeze(1);
  const at::Tensor classes = at::arange(logits.size(1), labels.options()).unsqueeze(0).expand({logits.size(0), -1});
  // Row b without its label: every class c < K - 1, moved one up from the label on.
  const at::Tensor kept = classes.slice(1, 0, logits.size(1) - 1);
  const at::Tensor others = kept + (kept >= label).to(at::kLong);
  const auto rest = [&](const at::Tensor& z) { return (z / temperature).gather(1, others); };
  const auto odds = [&](const at::Tensor& z) {
    return (z / temperature).gather(1, label).squeeze(1) - at::logsumexp(rest(z), {1});
  };
  const double scale = temperature * temperature / static_cast<double>(logits.size(0));
  const at::Tensor p = odds(teacher), q = odds(logits);
  const at::Tensor of_label =
      Divergence(at::log_sigmoid(p), at::log_sigmoid(q)) + Divergence(at::log_sigmoid(-p), at::log_sigmoid(-q));
  const at::Tensor of_others = Divergence(at::log_softmax(rest(teacher), 1), at::log_softmax(rest(logits), 1));
  return {of_label.sum() * scale, of_others.sum() * scale};
}

// What the host refuses of labels [B] and indices [B,k], as the fused ops do.
absl::Status CheckClasses(const char* op, const NamedTensor& of, int64_t classes) {
  const at::Tensor& tensor = of.tensor;
  if (!tensor.is_cpu() || tensor.numel() == 0) return absl::OkStatus();
  const at::Tensor beyond = (tensor < 0).logical_or(tensor >= classes);
  if (!beyond.any().item<bool>()) return absl::OkStatus();
  const at::Tensor at = beyond.nonzero()[0];
  std::string place;
  at::Tensor value = tensor;
  for (int64_t i = 0; i < at.size(0); ++i) {
    absl::StrAppend(&place, i == 0 ? "" : ",", at[i].item<int64_t>());
    value = value[at[i].item<int64_t>()];
  }
  return absl::OutOfRangeError(absl::StrCat(op, ": ", of.name, "[", place, "] = ", value.item<int64_t>(),
                                            ", but there are ", classes, " classes; permitted are 0..", classes - 1));
}

absl::Status CheckShapes(const char* op, const at::Tensor& logits, std::initializer_list<NamedTensor> others) {
  if (!logits.defined() || logits.dim() != 2 || !logits.is_floating_point()) {
    return absl::InvalidArgumentError(absl::StrCat(op, ": logits must be [B,K] of floats"));
  }
  int64_t stored = 0;  // k
  for (const auto& [name, tensor] : others) {
    if (!tensor.defined() || tensor.dim() == 0 || tensor.size(0) != logits.size(0)) {
      return absl::InvalidArgumentError(
          absl::StrCat(op, ": ", name, " must have a row for each of the ", logits.size(0), " of logits"));
    }
    const bool of_logits = name == "teacher" || name == "targets";
    if (of_logits && (tensor.sizes() != logits.sizes() || tensor.scalar_type() != logits.scalar_type())) {
      return absl::InvalidArgumentError(absl::StrCat(op, ": ", name, " must be [B,K] = [", logits.size(0), ",",
                                                     logits.size(1), "], of logits' type"));
    }
    if (name == "labels" && (tensor.dim() != 1 || tensor.scalar_type() != at::kLong)) {
      return absl::InvalidArgumentError(absl::StrCat(op, ": labels must be [B] of i64"));
    }
    if (name == "values" && (tensor.dim() != 2 || tensor.size(1) < 1 || tensor.size(1) > logits.size(1) ||
                             tensor.scalar_type() != logits.scalar_type())) {
      return absl::InvalidArgumentError(
          absl::StrCat(op, ": values must be [B,k], k of 1..", logits.size(1), ", of logits' type"));
    }
    if (name == "values") stored = tensor.size(1);
    if (name == "indices" && (tensor.dim() != 2 || tensor.size(1) != stored || tensor.scalar_type() != at::kInt)) {
      return absl::InvalidArgumentError(absl::StrCat(op, ": indices must be [B,k] of i32, k of values"));
    }
    if (name == "log_sum_exp" && (tensor.dim() != 1 || tensor.scalar_type() != logits.scalar_type())) {
      return absl::InvalidArgumentError(absl::StrCat(op, ": log_sum_exp must be [B], of logits' type"));
    }
  }
  return absl::OkStatus();
}

// [B,K] whose classes lie side by side. A clone, since contiguous() takes any stride of a single class for dense.
at::Tensor Dense(const at::Tensor& matrix) {
  const bool apart = matrix.defined() && matrix.dim() == 2 && matrix.stride(1) != 1;
  return apart ? matrix.clone(at::MemoryFormat::Contiguous) : matrix;
}

// The same of what is not differentiated.
at::Tensor Constant(const at::Tensor& tensor) {
  return Dense(tensor.defined() && tensor.requires_grad() ? tensor.detach() : tensor);
}

using PlainFormula = std::function<std::vector<at::Tensor>(const at::Tensor& logits)>;

// The loss of `logits` and `others`, in the order of the fused op's buffers, as [total] or [total, part, part];
// `parameters` are what CheckLossParameters says of the others.
absl::StatusOr<std::vector<at::Tensor>> Compute(
    const char* op, const absl::Status& parameters, const at::Tensor& logits, std::initializer_list<NamedTensor> others,
    int parts, PlainFormula plain, absl::FunctionRef<absl::Status(Buffers, const LossOutputs&, const Device&)> fused) {
  if (!parameters.ok()) return parameters;
  if (absl::Status status = CheckShapes(op, logits, others); !status.ok()) return status;
  const size_t numbers = parts == 1 ? 1 : 3;
  if (logits.size(0) == 0) {
    return std::vector<at::Tensor>(numbers, (logits * 0).sum());
  }
  if (logits.scalar_type() != at::kFloat) {
    for (const NamedTensor& other : others) {
      if (other.name != "labels" && other.name != "indices") continue;
      if (absl::Status status = CheckClasses(op, other, logits.size(1)); !status.ok()) return status;
    }
    return plain(logits);
  }

  at::Tensor gradient, loss;
  std::vector<at::Tensor> result;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const at::Tensor dense = Dense(logits);
    gradient = at::empty(logits.sizes(), logits.options());
    const at::Tensor rows = at::empty({logits.size(0), parts}, logits.options());
    loss = at::empty({static_cast<int64_t>(numbers)}, logits.options());
    std::vector<NamedTensor> tensors = {{"logits", dense}};
    for (const NamedTensor& other : others) tensors.push_back(other);
    const size_t first = tensors.size();
    for (const NamedTensor& output :
         {NamedTensor{"gradient", gradient}, NamedTensor{"rows", rows}, NamedTensor{"loss", loss}}) {
      tensors.push_back(output);
    }
    const absl::Status status = CallOnTensors(tensors, [&](Buffers b, const Device& device) {
      return fused(b, {b[first], b[first + 1], b[first + 2]}, device);
    });
    if (!status.ok()) return status;
    for (size_t i = 0; i < numbers; ++i) result.push_back(loss.select(0, static_cast<int64_t>(i)));
  }
  result[0] = WithBackward(
      logits, result[0],
      {[gradient](const at::Tensor& by_loss, const BackwardPass& pass) { return Scaled(gradient, by_loss, pass); },
       [plain = std::move(plain)](const at::Tensor& z) { return plain(z)[0]; }});
  return result;
}

absl::Status Check(const char* op, const DistillParameters& p) {
  return CheckLossParameters(op, p.label_smoothing, p.temperature,
                             {{"hard_weight", p.hard_weight}, {"soft_weight", p.soft_weight}});
}

absl::StatusOr<at::Tensor> First(absl::StatusOr<std::vector<at::Tensor>> losses) {
  if (!losses.ok()) return losses.status();
  return (*losses)[0];
}

absl::StatusOr<TwoPartLoss> AllThree(absl::StatusOr<std::vector<at::Tensor>> losses) {
  if (!losses.ok()) return losses.status();
  return TwoPartLoss{(*losses)[0], {(*losses)[1].detach(), (*losses)[2].detach()}};
}

}  // namespace

absl::StatusOr<at::Tensor> CrossEntropy(const at::Tensor& logits, const at::Tensor& labels, double label_smoothing) {
  const auto plain = [=](const at::Tensor& z) {
    return std::vector<at::Tensor>{PlainCrossEntropy(z, labels, label_smoothing)};
  };
  return First(Compute("cross_entropy", CheckLossParameters("cross_entropy", label_smoothing, 1), logits,
                       {{"labels", labels}}, 1, plain,
                       [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                         return ops::CrossEntropy(b[0], b[1], static_cast<float>(label_smoothing), outputs, device);
                       }));
}

absl::StatusOr<at::Tensor> SoftCrossEntropy(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor dense = Constant(targets);
  const auto plain = [dense](const at::Tensor& z) {
    return std::vector<at::Tensor>{OrZero(dense, at::log_softmax(z, 1)).sum() / -static_cast<double>(z.size(0))};
  };
  return First(Compute("soft_cross_entropy", absl::OkStatus(), logits, {{"targets", dense}}, 1, plain,
                       [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                         return ops::SoftCrossEntropy(b[0], b[1], outputs, device);
                       }));
}

absl::StatusOr<at::Tensor> DistillKl(const at::Tensor& logits, const at::Tensor& teacher, double temperature) {
  const at::Tensor dense = Constant(teacher);
  const auto plain = [=](const at::Tensor& z) { return std::vector<at::Tensor>{PlainKl(z, dense, temperature)}; };
  return First(Compute("distill_kl", CheckLossParameters("distill_kl", 0, temperature), logits, {{"teacher", dense}}, 1,
                       plain, [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                         return ops::DistillKl(b[0], b[1], static_cast<float>(temperature), outputs, device);
                       }));
}

absl::StatusOr<TwoPartLoss> CrossEntropyKl(const at::Tensor& logits, const at::Tensor& labels,
                                           const at::Tensor& teacher, const DistillParameters& parameters) {
  const at::Tensor dense = Constant(teacher);
  const auto plain = [=](const at::Tensor& z) {
    const at::Tensor hard = PlainCrossEntropy(z, labels, parameters.label_smoothing);
    const at::Tensor soft = PlainKl(z, dense, parameters.temperature);
    return std::vector<at::Tensor>{hard * parameters.hard_weight + soft * parameters.soft_weight, hard, soft};
  };
  return AllThree(Compute("cross_entropy_kl", Check("cross_entropy_kl", parameters), logits,
                          {{"labels", labels}, {"teacher", dense}}, 2, plain,
                          [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                            return ops::CrossEntropyKl(b[0], b[1], b[2], parameters, outputs, device);
                          }));
}

absl::StatusOr<TwoPartLoss> CrossEntropyTopK(const at::Tensor& logits, const at::Tensor& labels,
                                             const at::Tensor& values, const at::Tensor& indices,
                                             const at::Tensor& log_sum_exp, const DistillParameters& parameters) {
  const at::Tensor dense = Constant(values), dense_indices = Dense(indices), sum = Constant(log_sum_exp);
  const auto plain = [=](const at::Tensor& z) {
    const at::Tensor hard = PlainCrossEntropy(z, labels, parameters.label_smoothing);
    const at::Tensor soft = PlainKl(z, Unpack(z, dense, dense_indices, sum), parameters.temperature);
    return std::vector<at::Tensor>{hard * parameters.hard_weight + soft * parameters.soft_weight, hard, soft};
  };
  return AllThree(Compute("cross_entropy_top_k", Check("cross_entropy_top_k", parameters), logits,
                          {{"labels", labels}, {"values", dense}, {"indices", dense_indices}, {"log_sum_exp", sum}}, 2,
                          plain, [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                            return ops::CrossEntropyTopK(b[0], b[1], {b[2], b[3], b[4]}, parameters, outputs, device);
                          }));
}

absl::StatusOr<TwoPartLoss> Dkd(const at::Tensor& logits, const at::Tensor& teacher, const at::Tensor& labels,
                                double temperature, double alpha, double beta) {
  if (logits.defined() && logits.dim() == 2 && logits.size(1) < 2) {
    return absl::InvalidArgumentError(absl::StrCat("dkd: logits have ", logits.size(1), " classes; give at least 2"));
  }
  const at::Tensor dense = Constant(teacher);
  const auto plain = [=](const at::Tensor& z) {
    const auto [of_label, of_others] = PlainDkd(z, dense, labels, temperature);
    return std::vector<at::Tensor>{of_label * alpha + of_others * beta, of_label, of_others};
  };
  return AllThree(Compute("dkd", CheckLossParameters("dkd", 0, temperature, {{"alpha", alpha}, {"beta", beta}}), logits,
                          {{"teacher", dense}, {"labels", labels}}, 2, plain,
                          [&](Buffers b, const LossOutputs& outputs, const Device& device) {
                            return ops::Dkd(b[0], b[1], b[2], static_cast<float>(temperature),
                                            static_cast<float>(alpha), static_cast<float>(beta), outputs, device);
                          }));
}

}  // namespace retort::ops::torch
