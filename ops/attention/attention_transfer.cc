#include "retort/ops/attention/attention_transfer.h"

#include "retort/ops/attention/attention_arguments.h"
#include "retort/ops/attention/attention_transfer_interleaved_any_op.h"
#include "retort/ops/attention/attention_transfer_interleaved_any_op_cuda.h"
#include "retort/ops/attention/attention_transfer_interleaved_any_op_opencl.h"
#include "retort/ops/attention/attention_transfer_interleaved_square_op.h"
#include "retort/ops/attention/attention_transfer_interleaved_square_op_cuda.h"
#include "retort/ops/attention/attention_transfer_interleaved_square_op_opencl.h"
#include "retort/ops/attention/attention_transfer_planar_any_op.h"
#include "retort/ops/attention/attention_transfer_planar_any_op_cuda.h"
#include "retort/ops/attention/attention_transfer_planar_any_op_opencl.h"
#include "retort/ops/attention/attention_transfer_planar_square_op.h"
#include "retort/ops/attention/attention_transfer_planar_square_op_cuda.h"
#include "retort/ops/attention/attention_transfer_planar_square_op_opencl.h"
#include "retort/ops/call_halide.h"

namespace retort::ops {

absl::Status AttentionTransfer(halide_buffer_t* features, halide_buffer_t* target,
                               const ActivationMapParameters& parameters, const AttentionTransferOutputs& outputs,
                               const Device& device) {
  CheckAttention check("attention_transfer", features, parameters, device);
  check.Map("target", target);
  check.Gradient(outputs.gradient);
  check.Vector("rows", outputs.rows, "[B]", check.batch());
  check.Vector("loss", outputs.loss, "[1]", 1);
  if (!check.status().ok() || check.batch() == 0) return check.status();
  Places places({features, target, outputs.gradient});
  check.FitsDevice(places);
  if (!check.status().ok()) return check.status();
  const auto call = [&](auto host, auto cuda, auto opencl) {
    return CallHalide("attention_transfer", device, host, cuda, opencl, places[0], places[1],
                      static_cast<int32_t>(parameters.kind), parameters.normalize, places[2], outputs.rows,
                      outputs.loss);
  };
  const bool square = parameters.kind == ActivationKind::kMeanSquare;
  if (check.interleaved()) {
    return square ? call(attention_transfer_interleaved_square_op, attention_transfer_interleaved_square_op_cuda,
                         attention_transfer_interleaved_square_op_opencl)
                  : call(attention_transfer_interleaved_any_op, attention_transfer_interleaved_any_op_cuda,
                         attention_transfer_interleaved_any_op_opencl);
  }
  return square ? call(attention_transfer_planar_square_op, attention_transfer_planar_square_op_cuda,
                       attention_transfer_planar_square_op_opencl)
                : call(attention_transfer_planar_any_op, attention_transfer_planar_any_op_cuda,
                       attention_transfer_planar_any_op_opencl);
}

}  // namespace retort::ops
