#include "retort/ops/losses/softmax_loss.h"

#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "retort/ops/call_halide.h"
#include "retort/ops/check_arguments.h"
#include "retort/ops/losses/cross_entropy_kl_op.h"
#include "retort/ops/losses/cross_entropy_kl_op_cuda.h"
#include "retort/ops/losses/cross_entropy_kl_op_opencl.h"
#include "retort/ops/losses/cross_entropy_op.h"
#include "retort/ops/losses/cross_entropy_op_cuda.h"
#include "retort/ops/losses/cross_entropy_op_opencl.h"
#include "retort/ops/losses/cross_entropy_top_k_op.h"
#include "retort/ops/losses/cross_entropy_top_k_op_cuda.h"
#include "retort/ops/losses/cross_entropy_top_k_op_opencl.h"
#include "retort/ops/losses/distill_kl_op.h"
#include "retort/ops/losses/distill_kl_op_cuda.h"
#include "retort/ops/losses/distill_kl_op_opencl.h"
#include "retort/ops/losses/dkd_op.h"
#include "retort/ops/losses/dkd_op_cuda.h"
#include "retort/ops/losses/dkd_op_opencl.h"
#include "retort/ops/losses/soft_cross_entropy_op.h"
#include "retort/ops/losses/soft_cross_entropy_op_cuda.h"
#include "retort/ops/losses/soft_cross_entropy_op_opencl.h"

namespace retort::ops {
namespace {

const halide_type_t kFloat = halide_type_of<float>();

// Checks of one loss, in the order in which its arguments stand.
class CheckLoss {
 public:
  CheckLoss(absl::string_view op, const halide_buffer_t* logits, int fewest_classes, Device device)
      : op_(op), device_(device), check_(op, device) {
    check_.Buffer("logits", logits, {kFloat}, 2);
    if (!check_.ok()) return;
    batch_ = logits->dim[1].extent;
    classes_ = logits->dim[0].extent;
    check_.Condition(classes_ >= fewest_classes, [&] {
      return absl::StrCat("logits have ", classes_, " classes; give at least ", fewest_classes);
    });
    Dense("logits", *logits);
  }

  void Matrix(absl::string_view name, const halide_buffer_t* buffer) {
    check_.Buffer(name, buffer, {kFloat}, 2);
    Is(name, buffer, "[B,K]", {batch_, classes_});
  }

  void Labels(const halide_buffer_t* labels) {
    check_.Buffer("labels", labels, {halide_type_of<int64_t>()}, 1);
    Is("labels", labels, "[B]", {batch_});
    if (!check_.ok() || device_.kind != Device::Kind::kHost) return;
    const auto* label = reinterpret_cast<const int64_t*>(labels->host);
    for (int64_t b = 0; b < batch_; ++b) {
      const int64_t value = label[b * labels->dim[0].stride];
      if (value < 0 || value >= classes_) {
        range_ = absl::OutOfRangeError(absl::StrCat(op_, ": labels[", b, "] = ", value, ", but there are ", classes_,
                                                    " classes; permitted are 0..", classes_ - 1));
        return;
      }
    }
  }

  void Teacher(const TopK& teacher) {
    check_.Buffer("values", teacher.values, {kFloat}, 2);
    check_.Buffer("indices", teacher.indices, {halide_type_of<int32_t>()}, 2);
    check_.Buffer("log_sum_exp", teacher.log_sum_exp, {kFloat}, 1);
    if (!check_.ok()) return;
    const int stored = teacher.values->dim[0].extent;
    check_.Condition(stored >= 1 && stored <= classes_, [&] {
      return absl::StrCat("values hold ", stored, " of ", classes_, " classes; give 1..", classes_);
    });
    check_.Shape("values", *teacher.values, "[B,k]", {batch_, stored});
    check_.Shape("indices", *teacher.indices, "[B,k]", {batch_, stored});
    check_.Shape("log_sum_exp", *teacher.log_sum_exp, "[B]", {batch_});
    if (!check_.ok() || device_.kind != Device::Kind::kHost) return;
    const auto* index = reinterpret_cast<const int32_t*>(teacher.indices->host);
    const halide_dimension_t* dim = teacher.indices->dim;
    for (int64_t b = 0; b < batch_; ++b) {
      for (int64_t j = 0; j < stored; ++j) {
        const int32_t value = index[b * dim[1].stride + j * dim[0].stride];
        if (range_.ok() && (value < 0 || value >= classes_)) {
          range_ = absl::OutOfRangeError(absl::StrCat(op_, ": indices[", b, ",", j, "] = ", value, ", but there are ",
                                                      classes_, " classes; permitted are 0..", classes_ - 1));
        }
      }
    }
  }

  void Parameters(double label_smoothing, double temperature, std::initializer_list<NamedWeight> weights = {}) {
    parameters_ = CheckLossParameters(op_, label_smoothing, temperature, weights);
  }

  void Outputs(const LossOutputs& outputs, int parts) {
    check_.Output("gradient", outputs.gradient, {kFloat}, 2);
    Is("gradient", outputs.gradient, "[B,K]", {batch_, classes_});
    check_.Output("rows", outputs.rows, {kFloat}, 2);
    Is("rows", outputs.rows, parts == 1 ? "[B,1]" : "[B,2]", {batch_, parts});
    check_.Output("loss", outputs.loss, {kFloat}, 1);
    Is("loss", outputs.loss, parts == 1 ? "[1]" : "[3]", {parts == 1 ? 1 : 3});
  }

  bool empty() const { return batch_ == 0; }
  absl::Status status() const { return !check_.ok() ? check_.status() : !parameters_.ok() ? parameters_ : range_; }

 private:
  // The whole shape, and elements of the innermost dimension side by side unless it is one of rows.
  void Is(absl::string_view name, const halide_buffer_t* buffer, absl::string_view letters,
          std::initializer_list<int> extents) {
    if (!check_.ok()) return;
    check_.Shape(name, *buffer, letters, extents);
    if (name != "labels") Dense(name, *buffer);
  }

  void Dense(absl::string_view name, const halide_buffer_t& buffer) {
    check_.Condition(buffer.dim[0].stride == 1, [&] {
      return absl::StrCat(name, " has stride ", buffer.dim[0].stride, " within a row; it must be 1");
    });
  }

  absl::string_view op_;
  Device device_;
  CheckArguments check_;
  absl::Status parameters_, range_;
  int batch_ = 0;
  int classes_ = 0;
};

}  // namespace

absl::Status CheckLossParameters(absl::string_view op, double label_smoothing, double temperature,
                                 std::initializer_list<NamedWeight> weights) {
  if (!(label_smoothing >= 0 && label_smoothing <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": label_smoothing is ", label_smoothing, "; permitted is 0..1"));
  }
  if (!(temperature > 0 && std::isfinite(temperature))) {
    return absl::InvalidArgumentError(
        absl::StrCat(op, ": temperature is ", temperature, "; permitted are finite numbers above 0"));
  }
  for (const NamedWeight& weight : weights) {
    if (!std::isfinite(weight.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat(op, ": ", weight.name, " is ", weight.value, "; permitted are finite numbers"));
    }
  }
  return absl::OkStatus();
}

absl::Status CrossEntropy(halide_buffer_t* logits, halide_buffer_t* labels, float label_smoothing,
                          const LossOutputs& outputs, const Device& device) {
  CheckLoss check("cross_entropy", logits, 1, device);
  check.Labels(labels);
  check.Parameters(label_smoothing, 1);
  check.Outputs(outputs, 1);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("cross_entropy", device, cross_entropy_op, cross_entropy_op_cuda, cross_entropy_op_opencl, logits,
                    labels, label_smoothing, outputs.gradient, outputs.rows, outputs.loss);
}

absl::Status SoftCrossEntropy(halide_buffer_t* logits, halide_buffer_t* targets, const LossOutputs& outputs,
                              const Device& device) {
  CheckLoss check("soft_cross_entropy", logits, 1, device);
  check.Matrix("targets", targets);
  check.Outputs(outputs, 1);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("soft_cross_entropy", device, soft_cross_entropy_op, soft_cross_entropy_op_cuda,
                    soft_cross_entropy_op_opencl, logits, targets, outputs.gradient, outputs.rows, outputs.loss);
}

absl::Status DistillKl(halide_buffer_t* logits, halide_buffer_t* teacher, float temperature, const LossOutputs& outputs,
                       const Device& device) {
  CheckLoss check("distill_kl", logits, 1, device);
  check.Matrix("teacher", teacher);
  check.Parameters(0, temperature);
  check.Outputs(outputs, 1);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("distill_kl", device, distill_kl_op, distill_kl_op_cuda, distill_kl_op_opencl, logits, teacher,
                    temperature, outputs.gradient, outputs.rows, outputs.loss);
}

absl::Status CrossEntropyKl(halide_buffer_t* logits, halide_buffer_t* labels, halide_buffer_t* teacher,
                            const DistillParameters& parameters, const LossOutputs& outputs, const Device& device) {
  CheckLoss check("cross_entropy_kl", logits, 1, device);
  check.Labels(labels);
  check.Matrix("teacher", teacher);
  check.Parameters(parameters.label_smoothing, parameters.temperature,
                   {{"hard_weight", parameters.hard_weight}, {"soft_weight", parameters.soft_weight}});
  check.Outputs(outputs, 2);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("cross_entropy_kl", device, cross_entropy_kl_op, cross_entropy_kl_op_cuda,
                    cross_entropy_kl_op_opencl, logits, labels, parameters.label_smoothing, teacher,
                    parameters.temperature, parameters.hard_weight, parameters.soft_weight, outputs.gradient,
                    outputs.rows, outputs.loss);
}

absl::Status CrossEntropyTopK(halide_buffer_t* logits, halide_buffer_t* labels, const TopK& teacher,
                              const DistillParameters& parameters, const LossOutputs& outputs, const Device& device) {
  CheckLoss check("cross_entropy_top_k", logits, 1, device);
  check.Labels(labels);
  check.Teacher(teacher);
  check.Parameters(parameters.label_smoothing, parameters.temperature,
                   {{"hard_weight", parameters.hard_weight}, {"soft_weight", parameters.soft_weight}});
  check.Outputs(outputs, 2);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("cross_entropy_top_k", device, cross_entropy_top_k_op, cross_entropy_top_k_op_cuda,
                    cross_entropy_top_k_op_opencl, logits, labels, parameters.label_smoothing, teacher.values,
                    teacher.indices, teacher.log_sum_exp, parameters.temperature, parameters.hard_weight,
                    parameters.soft_weight, outputs.gradient, outputs.rows, outputs.loss);
}

absl::Status Dkd(halide_buffer_t* logits, halide_buffer_t* teacher, halide_buffer_t* labels, float temperature,
                 float alpha, float beta, const LossOutputs& outputs, const Device& device) {
  CheckLoss check("dkd", logits, 2, device);
  check.Matrix("teacher", teacher);
  check.Labels(labels);
  check.Parameters(0, temperature, {{"alpha", alpha}, {"beta", beta}});
  check.Outputs(outputs, 2);
  if (absl::Status status = check.status(); !status.ok() || check.empty()) return status;
  return CallHalide("dkd", device, dkd_op, dkd_op_cuda, dkd_op_opencl, logits, teacher, labels, temperature, alpha,
                    beta, outputs.gradient, outputs.rows, outputs.loss);
}

}  // namespace retort::ops
